// A table with search, sorting and choice of a row, by mouse or keyboard.

const SHOWN = 500;
const PAGE = 10; // rows that PageDown and PageUp move

function compare(one, other) {
  if (one === null || other === null) return (one === null) - (other === null); // missing values come last
  return typeof one === "string" ? one.localeCompare(other) : one - other;
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function render({ model, el }) {
  el.classList.add("frontierlab-table");
  const search = element("input", { type: "search", placeholder: "Search" });
  search.setAttribute("aria-label", "Search in the table");
  const count = element("span", { className: "frontierlab-quiet" });
  const head = element("tr");
  const body = element("tbody");
  const table = element("table", {}, element("thead", {}, head), body);
  table.setAttribute("role", "grid");
  table.setAttribute("aria-label", model.get("label"));
  const picker = element("details", { className: "frontierlab-table-picker" });
  const more = element("span", { className: "frontierlab-quiet" });
  const bar = element("div", { className: "frontierlab-table-bar" }, search, count, ...(model.get("can_pick") ? [picker] : []), more);
  const scroll = element("div", { className: "frontierlab-table-scroll" }, table);
  el.append(bar, scroll);
  if (model.get("two_lines")) table.classList.add("frontierlab-two-lines");

  const shownColumns = () =>
    model.get("columns").map((column, place) => ({ ...column, place })).filter(({ name }) => !model.get("hidden").includes(name));

  // what is cut off on the right says so
  const sayMore = () => {
    more.textContent = scroll.scrollWidth > scroll.clientWidth + 1 ? "more columns: scroll right →" : "";
  };
  const sizes = new ResizeObserver(sayMore);
  sizes.observe(scroll);
  sizes.observe(table);

  function drawPicker() {
    const open = picker.open;
    const boxes = model.get("columns").map(({ name, title, help }) => {
      const box = element("input", { type: "checkbox", checked: !model.get("hidden").includes(name) });
      box.addEventListener("change", () => {
        const hidden = model.get("hidden").filter((one) => one !== name);
        save("hidden", box.checked ? hidden : [...hidden, name]);
      });
      const words = element("span", { className: "frontierlab-quiet", textContent: help ? `: ${help}` : "" });
      return element("label", { title: help }, box, ` ${title}`, words);
    });
    const focused = [...picker.querySelectorAll("input")].indexOf(document.activeElement);
    picker.replaceChildren(element("summary", { textContent: "Columns" }), element("div", {}, ...boxes));
    picker.open = open;
    picker.querySelectorAll("input")[focused]?.focus();
  }

  const save = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };

  function drawHead() {
    const [sorted, direction] = model.get("order");
    const focused = [...head.querySelectorAll("button")].indexOf(document.activeElement);
    head.replaceChildren(
      ...shownColumns().map(({ name, title, help, number }) => {
        const mark = name === sorted ? (direction === "ascending" ? " ▲" : " ▼") : "";
        const button = element("button", { type: "button", textContent: title + mark, title: help });
        button.addEventListener("click", () => {
          const again = name === model.get("order")[0] && model.get("order")[1] !== "ascending";
          const first = number && name !== model.get("order")[0] ? "descending" : again ? "ascending" : "descending";
          save("order", [name, number || name === model.get("order")[0] ? first : "ascending"]);
        });
        const cell = element("th", { scope: "col", className: number ? "number" : "" }, button);
        cell.setAttribute("aria-sort", name === sorted ? direction : "none");
        return cell;
      }),
    );
    head.querySelectorAll("button")[focused]?.focus();
  }

  function chosenRows() {
    const words = model.get("search").toLowerCase().split(/\s+/).filter(Boolean);
    const rows = model.get("rows").filter(({ cells, below }) => {
      const text = [...cells, ...below].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const [sorted, direction] = model.get("order");
    const place = model.get("columns").findIndex(({ name }) => name === sorted);
    if (place < 0) return rows;
    const sign = direction === "ascending" ? 1 : -1;
    return [...rows].sort((a, b) => {
      const [one, other] = [a.keys[place], b.keys[place]];
      return one === null || other === null ? compare(one, other) : sign * compare(one, other);
    });
  }

  function drawRows() {
    const columns = shownColumns();
    const rows = chosenRows();
    const largest = columns.map(({ bar, place }) => (bar ? Math.max(0, ...model.get("rows").map(({ keys }) => keys[place] ?? 0)) : 0));
    const focused = body.contains(document.activeElement) ? document.activeElement.closest("tr").dataset.id : undefined;
    const all = model.get("rows").length;
    count.textContent =
      (rows.length === all ? `${all}` : `${rows.length} of ${all}`) +
      (all === 1 ? " row" : " rows") +
      (rows.length > SHOWN ? `; the first ${SHOWN} are shown: search for others` : "");
    const selected = model.get("selected");
    const there = (wanted) => rows.some(({ id }) => id === wanted);
    const reachable = [focused, selected].find(there) ?? rows[0]?.id; // an update moves nobody
    body.replaceChildren(
      ...rows.slice(0, SHOWN).map(({ id, cells, below, keys, mark }) => {
        const row = element("tr", { className: mark, tabIndex: id === reachable ? 0 : -1 });
        row.dataset.id = id;
        row.setAttribute("aria-selected", id === selected);
        row.append(
          ...columns.map(({ number, place }, at) => {
            const text = cells[place];
            const cell = element("td", { className: number ? "number" : "", title: [text, below[place]].filter(Boolean).join("\n") });
            cell.append(text);
            if (below[place]) cell.append(element("span", { className: "frontierlab-below", textContent: below[place] }));
            if (largest[at] > 0) {
              cell.classList.add("frontierlab-with-bar");
              cell.style.setProperty("--part", `${(100 * Math.max(0, keys[place] ?? 0)) / largest[at]}%`);
            }
            return cell;
          }),
        );
        return row;
      }),
    );
    if (focused !== undefined) body.querySelector("tr[tabindex='0']")?.focus();
    if (!rows.length) {
      const cell = element("td", { colSpan: columns.length || 1, className: "frontierlab-quiet" });
      cell.textContent = all ? "Nothing here matches the search." : model.get("empty");
      body.append(element("tr", {}, cell));
    }
  }

  function draw() {
    drawPicker();
    if (search.value !== model.get("search")) search.value = model.get("search");
    drawHead();
    drawRows();
  }

  search.addEventListener("input", () => save("search", search.value));
  body.addEventListener("click", (event) => {
    const id = event.target.closest("tr")?.dataset.id;
    if (id !== undefined) save("selected", id);
  });
  body.addEventListener("keydown", (event) => {
    const row = event.target.closest("tr");
    const rows = [...body.children];
    const place = rows.indexOf(row);
    const target = {
      ArrowDown: place + 1,
      ArrowUp: place - 1,
      PageDown: Math.min(place + PAGE, rows.length - 1),
      PageUp: Math.max(place - PAGE, 0),
      Home: 0,
      End: rows.length - 1,
    }[event.key];
    if (rows[target]) rows[target].focus();
    else if ((event.key === "Enter" || event.key === " ") && row?.dataset.id !== undefined) {
      save("selected", row.dataset.id);
    } else return;
    event.preventDefault();
    event.stopPropagation(); // the notebook uses these keys too
  });
  for (const name of ["rows", "columns", "order", "search", "selected", "empty", "hidden"]) model.on(`change:${name}`, draw);
  draw();
  return () => sizes.disconnect();
}

export default { render };
