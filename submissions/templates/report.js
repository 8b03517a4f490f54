"use strict";
(() => {
  const table = document.querySelector("table.cards");
  const controls = document.getElementById("controls");
  const body = table.tBodies[0];
  const items = [...body.rows].map((row, place) => ({
    row,
    place,
    keys: [...row.cells].map((cell) => ("key" in cell.dataset ? cell.dataset.key : cell.textContent.trim().toLowerCase())),
    text: row.textContent.toLowerCase(),
    details: document.getElementById(row.dataset.of)?.closest("details"),
  }));
  // What a result says beside its row, its findings above all; read when somebody first asks, unopened content left out.
  const said = (item) =>
    (item.said ??= [...(item.details?.children ?? [])]
      .map((each) => (each.matches("noscript") ? "" : each.textContent))
      .join(" ")
      .toLowerCase());
  const field = controls.querySelector("input");
  const count = controls.querySelector("output");
  const all = controls.querySelector("button");
  const groups = [...document.querySelectorAll("section.group")];

  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of items) {
      const here = words.every((word) => item.text.includes(word) || said(item).includes(word));
      item.row.hidden = !here;
      if (item.details) item.details.hidden = !here;
      shown += here;
    }
    for (const group of groups) group.hidden = !group.querySelector("details.run:not([hidden])");
    count.value = `${shown} of ${items.length} shown`;
  };
  let waiting = 0;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 60);
  });

  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return a !== "" && b !== "" && !Number.isNaN(x) && !Number.isNaN(y) ? x - y : a.localeCompare(b);
  };
  const sort = (header, column) => {
    const down = header.getAttribute("aria-sort") === "ascending";
    const back = header.getAttribute("aria-sort") === "descending";
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    if (!back) header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const missing = (item) => item.keys[column] === "";
    const order = back
      ? (a, b) => a.place - b.place
      : (a, b) => missing(a) - missing(b) || (down ? -1 : 1) * compare(a.keys[column], b.keys[column]) || a.place - b.place;
    body.append(...[...items].sort(order).map((item) => item.row));
  };
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.title = "Sort: ascending, descending, as at first";
    button.addEventListener("click", () => sort(header, column));
    header.append(button);
  });

  // A page of hundreds of results holds each one's content as text that is read when it is opened.
  const fill = (details) => {
    const kept = details.querySelector(":scope > noscript");
    if (!kept) return;
    kept.insertAdjacentHTML("beforebegin", kept.textContent);
    kept.remove();
  };
  addEventListener("toggle", (event) => event.target.matches("details.run[open]") && fill(event.target), true);

  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = target && target.closest("details");
    if (!details) return;
    fill(details);
    details.open = true;
    target.scrollIntoView();
    details.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", open);
  body.addEventListener("click", (event) => {
    if (event.target.closest("a") && event.target.closest("a").hash === location.hash) open();
  });
  all.addEventListener("click", () => {
    const found = [...document.querySelectorAll("details.run:not([hidden])")];
    const closed = found.some((each) => !each.open);
    for (const each of found) each.open = closed;
  });

  table.classList.add("live");
  controls.hidden = false;
  filter();
  open();
  document.documentElement.dataset.readyMs = Math.round(performance.now());
})();
