// A bar of tabs, by mouse or keyboard. Arrows, Home and End move to another tab and open it.

function render({ model, el }) {
  el.classList.add("frontierlab-tabs");
  const bar = document.createElement("div");
  bar.setAttribute("role", "tablist");
  bar.setAttribute("aria-label", model.get("label"));
  el.append(bar);

  // The kernel shows the page of the chosen tab too, but it can be busy: until then, the page of another one is shown.
  const showPage = () => {
    const pages = [...(el.closest(".widget-vbox")?.children ?? [])].filter((one) =>
      one.classList.contains("frontierlab-page"),
    );
    const titles = model.get("titles");
    if (pages.length !== titles.length) return;
    pages.forEach((page, place) => (page.style.display = titles[place] === model.get("value") ? "" : "none"));
  };
  const choose = (title) => {
    model.set("value", title);
    model.save_changes();
  };

  function draw() {
    const hadFocus = bar.contains(document.activeElement);
    bar.replaceChildren(
      ...model.get("titles").map((title) => {
        const tab = document.createElement("button");
        const chosen = title === model.get("value");
        tab.type = "button";
        tab.textContent = title;
        tab.setAttribute("role", "tab");
        tab.setAttribute("aria-selected", chosen);
        tab.tabIndex = chosen ? 0 : -1;
        return tab;
      }),
    );
    if (hadFocus) bar.querySelector("[aria-selected=true]")?.focus();
  }

  bar.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab.textContent);
  });
  bar.addEventListener("keydown", (event) => {
    const tabs = [...bar.children];
    const place = tabs.indexOf(event.target);
    const target = {
      ArrowRight: (place + 1) % tabs.length,
      ArrowLeft: (place - 1 + tabs.length) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    }[event.key];
    if (target === undefined) return;
    tabs[target].focus();
    choose(tabs[target].textContent);
    event.preventDefault();
    event.stopPropagation(); // the notebook uses these keys too
  });
  for (const name of ["titles", "value"]) model.on(`change:${name}`, draw);
  model.on("change:value", showPage);
  draw();
}

export default { render };
