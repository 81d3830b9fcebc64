// The table of runs: columns, order, filters, rows that are changed in place.

import { ago, compact, dateTime, duration, mark, number, percent } from "./figures.js";
import { el, say, svg } from "./words.js";

const TEXT = (key) => (run) => (run[key] === null ? null : run[key].toLowerCase());
const FIGURE = (key) => (run) => run[key];
const DASH = "–";

// name; what it is ordered by; how a cell is filled; whether it holds figures; first order.
const COLUMNS = [
  { name: "run", by: (run) => `${run.group}/${run.name}`.toLowerCase(), cell: nameCell },
  { name: "state", by: TEXT("state"), cell: stateCell },
  { name: "data", by: TEXT("data"), cell: (run) => clip(run.data) },
  { name: "network", by: TEXT("network"), cell: (run) => clip(run.network) },
  { name: "accuracy", by: FIGURE("accuracy"), cell: accuracyCell, figure: true, down: true },
  { name: "f1", by: FIGURE("f1"), cell: (run) => shown(run.f1, percent), figure: true, down: true },
  { name: "split", by: TEXT("split"), cell: splitCell },
  { name: "parameters", by: FIGURE("parameters"), cell: parametersCell, figure: true },
  { name: "epochs", by: FIGURE("epochs"), cell: epochsCell, figure: true },
  { name: "seconds", by: FIGURE("seconds"), cell: (run) => shown(run.seconds, duration), figure: true },
  { name: "modified", by: FIGURE("modified"), cell: modifiedCell, figure: true, down: true },
];

export class RunTable {
  // onChoose(id, wanted), onOpen(id)
  constructor(onChoose, onOpen) {
    this.onChoose = onChoose;
    this.onOpen = onOpen;
    this.order = { name: "modified", down: true };
    this.rows = new Map();
    this.runs = [];
    this.slots = new Map();
    this.filter = { words: [], state: "" };
    this.body = document.getElementById("body");
    this.head();
  }

  head() {
    const choose = el("th", { scope: "col", class: "choose" }, el("span", { class: "hidden" }, say("choose")));
    const cells = COLUMNS.map((column) => {
      const button = el("button", { type: "button" }, say(column.name));
      button.addEventListener("click", () => this.sort(column));
      return el("th", { scope: "col", class: classes(column), "data-column": column.name }, button);
    });
    document.getElementById("head").replaceChildren(choose, ...cells);
    this.showOrder();
  }

  sort(column) {
    const again = this.order.name === column.name;
    this.order = { name: column.name, down: again ? !this.order.down : Boolean(column.down) };
    this.showOrder();
    this.arrange();
  }

  showOrder() {
    for (const cell of document.querySelectorAll("#head [data-column]")) {
      const here = cell.dataset.column === this.order.name;
      cell.setAttribute("aria-sort", here ? (this.order.down ? "descending" : "ascending") : "none");
    }
  }

  // Shows these runs; only rows that have changed are touched.
  show(runs, slots) {
    this.runs = runs;
    this.slots = slots;
    const range = accuracyRange(runs);
    const there = new Set(runs.map((run) => run.id));
    for (const [id, row] of this.rows) {
      if (!there.has(id)) {
        row.element.remove();
        this.rows.delete(id);
      }
    }
    for (const run of runs) {
      const row = this.rows.get(run.id) ?? this.newRow(run.id, run.name);
      const key = JSON.stringify([run, range]);
      if (row.key !== key) COLUMNS.forEach((column, i) => row.cells[i].replaceChildren(column.cell(run, range, this)));
      row.key = key;
      const slot = slots.get(run.id);
      row.box.checked = slot !== undefined;
      row.sign.replaceChildren(slot === undefined ? el("span", { class: "mark none-yet" }) : mark(slot));
      row.element.classList.toggle("is-chosen", slot !== undefined);
    }
    this.arrange();
  }

  newRow(id, name) {
    const box = el("input", { type: "checkbox", "aria-label": say("choose_run", { name }) });
    box.addEventListener("change", () => this.onChoose(id, box.checked));
    const sign = el("span", { class: "sign" });
    const cells = COLUMNS.map((column, i) => el(i ? "td" : "th", { class: classes(column), scope: i ? null : "row" }));
    const element = el("tr", { "data-run": id }, el("td", { class: "choose" }, el("label", {}, box, sign)), ...cells);
    const row = { element, box, sign, cells, key: "" };
    this.rows.set(id, row);
    return row;
  }

  // Puts the rows that the filters let through in order, without disturbing the focus.
  arrange() {
    const column = COLUMNS.find(({ name }) => name === this.order.name);
    const kept = this.runs.filter((run) => this.matches(run));
    const sign = this.order.down ? -1 : 1;
    kept.sort((a, b) => sign * compare(column.by(a), column.by(b), sign) || a.id.localeCompare(b.id));
    const wanted = kept.map((run) => this.rows.get(run.id).element);
    const same = wanted.length === this.body.children.length && wanted.every((row, i) => row === this.body.children[i]);
    if (!same) {
      const focused = document.activeElement;
      this.body.replaceChildren(...wanted);
      if (this.body.contains(focused)) focused.focus({ preventScroll: true });
    }
    this.kept = kept.length;
    document.getElementById("none").hidden = kept.length > 0 || this.runs.length === 0;
    const count = document.getElementById("count");
    const [n, total] = [number(kept.length), number(this.runs.length)];
    let text = kept.length === 1 ? say("one_run") : say("some_runs", { n });
    if (kept.length !== this.runs.length) text = say("some_of_runs", { n, total });
    if (count.textContent !== text) count.textContent = text;
  }

  matches(run) {
    const text = [run.group, run.name, run.data, run.network].join(" ").toLowerCase();
    return (!this.filter.state || run.state === this.filter.state) && this.filter.words.every((word) => text.includes(word));
  }
}

// Unknown values come last, whichever way the order goes.
function compare(a, b, sign) {
  if (a === null || b === null) return sign * ((a === null) - (b === null));
  return typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
}

function classes(column) {
  return `column-${column.name}${column.figure ? " figure" : ""}`;
}

function accuracyRange(runs) {
  const ends = runs.flatMap((run) => run.accuracy_interval ?? []);
  const [low, high] = [Math.min(...ends, 1), Math.max(...ends, 0)];
  return [low, Math.max(high, low + 0.001)];
}

function shown(value, form) {
  return value === null ? DASH : form(value);
}

function clip(text) {
  return el("span", { class: "clip", title: text }, text ?? DASH);
}

function nameCell(run, _range, table) {
  const button = el("button", { type: "button", class: "name", title: run.name, "aria-label": say("open_run", { name: run.name }) }, run.name);
  button.addEventListener("click", () => table.onOpen(run.id));
  const group = run.group ? el("span", { class: "quiet group" }, `${run.group} /`) : null;
  const under = [run.data, run.network].filter(Boolean).join(" · ");
  return el("div", {}, group, button, el("span", { class: "quiet under" }, under));
}

function stateCell(run) {
  return el("span", { class: `state ${run.state}`, title: run.problem }, el("span", { class: "dot" }), say(run.state));
}

function splitCell(run) {
  if (run.split === null) return DASH;
  return el("div", {}, run.split, el("span", { class: "quiet images" }, say("n_images", { n: number(run.n) })));
}

function parametersCell(run) {
  if (run.parameters === null) return DASH;
  return el("span", { title: number(run.parameters) }, compact(run.parameters));
}

function accuracyCell(run, [low, high]) {
  if (run.accuracy === null) return DASH;
  const [from, to] = run.accuracy_interval;
  const at = (value) => (2 + ((value - low) / (high - low)) * 76).toFixed(1);
  const text = say("interval", { low: percent(from), high: percent(to) });
  const bar = svg("svg", { class: "interval", viewBox: "0 0 80 8", width: 80, height: 8, role: "img", "aria-label": text },
    svg("title", {}, text),
    svg("line", { class: "track", x1: 2, x2: 78, y1: 4, y2: 4 }),
    svg("line", { class: "range", x1: at(from), x2: at(to), y1: 4, y2: 4 }),
    svg("circle", { cx: at(run.accuracy), cy: 4, r: 3 }));
  const ends = `${number(100 * from, 1)} – ${number(100 * to, 1)}`;
  const doubt = run.reservations.join(" ");
  const mark = doubt ? el("span", { class: "doubt", title: doubt, role: "img", "aria-label": `${say("reservation")} ${doubt}` }, "⚠") : null;
  return el("div", { class: "accuracy" }, el("strong", {}, percent(run.accuracy), mark), bar, el("span", { class: "quiet ends" }, ends));
}

function epochsCell(run) {
  const planned = run.epochs_planned;
  if (!["training", "cut_off"].includes(run.state) || !planned) return number(run.epochs);
  const text = `${number(run.epochs)} / ${number(planned)}`;
  return el("div", {}, text, el("progress", { max: planned, value: run.epochs, "aria-label": say("epochs_of", { n: run.epochs, total: planned }) }));
}

function modifiedCell(run) {
  const time = el("time", { datetime: new Date(run.modified * 1000).toISOString(), title: dateTime(run.modified) }, ago(run.modified));
  time.dataset.at = run.modified;
  return time;
}

// What was "10 sec. ago" is a minute ago by now.
export function refreshTimes() {
  for (const time of document.querySelectorAll("time[data-at]")) {
    const text = ago(Number(time.dataset.at));
    if (time.textContent !== text) time.textContent = text;
  }
}
