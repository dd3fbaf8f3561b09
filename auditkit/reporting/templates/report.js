"use strict";
// Search, filter and sort of the findings; without scripts all content is readable without controls.
(() => {
  const table = document.getElementById("findings-table");
  const tools = document.getElementById("findings-tools");
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((details) => { details.open = true; });
  });
  if (!table || !tools) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const make = (tag, text) => Object.assign(document.createElement(tag), { textContent: text ?? "" });
  const field = (id, title, node) => {
    const label = make("label", title);
    label.htmlFor = node.id = id;
    tools.append(label, node);
    return node;
  };
  const choice = (id, title, key) => {
    const select = make("select");
    select.append(make("option", "all"));
    new Set(rows.map((row) => row.dataset[key])).forEach((word) => select.append(make("option", word)));
    return field(id, title, select);
  };
  const search = field("findings-search", "Search", make("input"));
  const dimension = choice("findings-dimension", "Dimension", "dimension");
  const verdict = choice("findings-verdict", "Verdict", "verdict");
  const count = tools.appendChild(make("span"));
  count.setAttribute("role", "status");
  const show = () => {
    const wanted = search.value.toLowerCase();
    let n = 0;
    rows.forEach((row) => {
      const fits = row.textContent.toLowerCase().includes(wanted)
        && ["all", row.dataset.dimension].includes(dimension.value)
        && ["all", row.dataset.verdict].includes(verdict.value);
      row.hidden = !fits;
      n += fits;
    });
    count.textContent = `${n} of ${rows.length} findings`;
  };
  [search, dimension, verdict].forEach((node) => node.addEventListener("input", show));
  const key = (row, i) => row.cells[i].dataset.value ?? row.cells[i].textContent.trim();
  const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b, "en") : a - b);
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((cell, i) => {
    const button = make("button", cell.textContent);
    button.type = "button";
    cell.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = cell.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", up ? "ascending" : "descending");
      rows.sort((a, b) => compare(key(a, i), key(b, i)) * (up ? 1 : -1));
      body.append(...rows);
    });
  });
  show();
})();
