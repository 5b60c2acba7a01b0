// Conditions as chips with a button that takes each off, and a field that finds what can be added.

const SHOWN = 60; // choices that are listed at once

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function render({ model, el }) {
  el.classList.add("frontierlab-chips");
  const chips = element("span", { className: "frontierlab-chips-row" });
  chips.setAttribute("role", "list");
  chips.setAttribute("aria-label", "Filters");
  const field = element("input", { type: "search", placeholder: "+ filter: folder, task, site …" });
  const list = element("ul", { id: `frontierlab-choices-${Math.random().toString(36).slice(2)}`, hidden: true });
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-label": "Add a filter", "aria-autocomplete": "list", "aria-expanded": "false",
    "aria-controls": list.id, autocomplete: "off",
  })) field.setAttribute(name, value);
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Filters that can be added, the most queries first");
  el.append(chips, element("span", { className: "frontierlab-chips-add" }, field, list));
  let active = -1;

  function drawChips() {
    const focused = document.activeElement;
    const place = [...chips.querySelectorAll("button")].indexOf(focused);
    const all = model.get("chips");
    chips.replaceChildren(
      ...all.map(({ id, text }) => {
        const off = element("button", { type: "button", textContent: "×", title: `Take this filter off: ${text}` });
        off.setAttribute("aria-label", `Take off ${text}`);
        off.dataset.id = id;
        off.addEventListener("click", () => model.send({ off: id }));
        const chip = element("span", { className: "frontierlab-chip" }, element("span", { textContent: text, title: text }), off);
        chip.setAttribute("role", "listitem");
        return chip;
      }),
    );
    if (place < 0) return;
    const left = [...chips.querySelectorAll("button")];
    const same = left.find((one) => one.dataset.id === focused.dataset.id);
    (same ?? left[Math.min(place, left.length - 1)] ?? field).focus(); // the list of the field stays closed
  }

  function found() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    return model.get("choices").filter(({ word, label }) => {
      const text = `${word} ${label}`.toLowerCase();
      return words.every((one) => text.includes(one));
    }).sort((a, b) => b.queries - a.queries);
  }

  function drawList() {
    const all = found();
    const rows = all.slice(0, SHOWN).map((one, place) => {
      const row = element("li", { id: `${list.id}-${place}` },
        element("span", { className: "frontierlab-quiet", textContent: one.word }),
        element("span", { className: "frontierlab-choice", textContent: one.label, title: one.label }),
        element("span", { className: "number", textContent: one.queries < 0 ? "" : one.queries.toLocaleString("en") }),
      );
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", place === active);
      row.addEventListener("pointerdown", (event) => {
        event.preventDefault(); // the field keeps the focus
        add(one);
      });
      return row;
    });
    const rest = all.length > SHOWN ? `${all.length - SHOWN} more: type a part of the name. ` : "";
    const told = rest + model.get("note") + (all.length || !model.get("choices").length ? "" : "Nothing here has this name.");
    list.replaceChildren(...rows, ...(told ? [element("li", { className: "frontierlab-quiet", textContent: told })] : []));
    field.setAttribute("aria-activedescendant", active >= 0 ? `${list.id}-${active}` : "");
    list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }

  // Only for what the user does in the field: a list that opens by itself, with the focus, covers what is below.
  function open(shown) {
    if (shown && list.hidden && model.get("choices").length === 0) model.send({ ask: "choices" }); // not counted before
    list.hidden = !shown;
    field.setAttribute("aria-expanded", shown);
    if (!shown) active = -1;
    else drawList();
  }

  function add({ column, value }) {
    model.send({ add: [column, value] });
    field.value = "";
    open(false);
  }

  field.addEventListener("click", () => open(true));
  field.addEventListener("blur", () => open(false));
  field.addEventListener("input", () => {
    active = field.value ? 0 : -1;
    open(true);
  });
  field.addEventListener("keydown", (event) => {
    const all = found().slice(0, SHOWN);
    if (event.key === "Enter" && all[active]) add(all[active]);
    else if (event.key === "Escape") open(false);
    else {
      const target = { ArrowDown: Math.min(active + 1, all.length - 1), ArrowUp: Math.max(active - 1, 0) }[event.key];
      if (target === undefined) return;
      active = target;
      open(true);
    }
    event.preventDefault();
    event.stopPropagation(); // the notebook uses these keys too
  });
  model.on("change:chips", drawChips);
  for (const name of ["choices", "note"]) model.on(`change:${name}`, () => list.hidden || drawList());
  drawChips();
}

export default { render };
