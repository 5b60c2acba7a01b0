// Bars with names and numbers. A click or Enter chooses one, with shift it is left out.

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function render({ model, el }) {
  el.classList.add("frontierlab-bars");
  const list = element("div");
  list.setAttribute("role", "list");
  const help = element("p", { className: "frontierlab-quiet" });
  el.append(list, help);

  function draw() {
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.id : undefined;
    list.setAttribute("aria-label", model.get("label") || "Bars");
    list.replaceChildren(
      ...model.get("bars").map(({ id, name, above, text, share }, place) => {
        const track = element("span", { className: "frontierlab-bar-track" });
        if (share === null) track.classList.add("frontierlab-bar-none");
        else {
          track.append(element("span", { className: "frontierlab-bar" }));
          track.firstChild.style.width = `${Math.max(0.3, 100 * share)}%`;
        }
        const row = element(
          id ? "button" : "div",
          { className: "frontierlab-bar-row", title: `${above ? `${above} ` : ""}${name}: ${text}` },
          element("span", { className: "frontierlab-bar-name" },
            element("span", { textContent: name }), element("span", { className: "frontierlab-quiet", textContent: above })),
          track,
          element("span", { className: "number", textContent: text }),
        );
        if (id) {
          row.type = "button";
          row.dataset.id = id;
          row.tabIndex = place ? -1 : 0;
        }
        const item = element("div", {}, row);
        item.setAttribute("role", "listitem");
        return item;
      }),
    );
    const all = [...list.querySelectorAll("button")];
    if (focused !== undefined) (all.find((one) => one.dataset.id === focused) ?? all[0])?.focus();
    help.textContent = model.get("bars").length
      ? all.length ? "A click on a bar adds it as a filter; with shift it is left out." : ""
      : model.get("empty");
  }

  list.addEventListener("click", (event) => {
    const row = event.target.closest("button");
    if (row) model.send({ chosen: row.dataset.id, out: event.shiftKey });
  });
  list.addEventListener("keydown", (event) => {
    const all = [...list.querySelectorAll("button")];
    const place = all.indexOf(event.target);
    const target = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: all.length - 1 }[event.key];
    if (!all[target]) return;
    for (const one of all) one.tabIndex = one === all[target] ? 0 : -1;
    all[target].focus();
    event.preventDefault();
    event.stopPropagation(); // the notebook uses these keys too
  });
  for (const name of ["bars", "label", "empty"]) model.on(`change:${name}`, draw);
  draw();
}

export default { render };
