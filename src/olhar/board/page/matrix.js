// A confusion matrix: a table of numbers up to 20 classes, a picture above, and the worst pairs.

import { number, percent } from "./figures.js";
import { el, say } from "./words.js";

const NUMBERS_UP_TO = 20;
const DENSE_FROM = 12;
const WORST = 5;
const SHADES = 8;

export function drawMatrix(holder, run) {
  if (!run) {
    holder.replaceChildren();
    return;
  }
  const names = run.class_names;
  const counts = run.confusion_matrix;
  const small = names.length <= NUMBERS_UP_TO;
  const matrix = small ? numbers(run, names, counts) : picture(run, names, counts);
  holder.replaceChildren(el("div", { class: "scroll" }, matrix), worst(names, counts));
}

// 0 for none, else 1 to SHADES, by the root of the share: one error in a hundred still shows.
function shade(count, total) {
  return count && total ? Math.max(1, Math.round(Math.sqrt(count / total) * SHADES)) : 0;
}

function numbers(run, names, counts) {
  const head = el("tr", {}, el("td", { class: "corner" }, `${say("predicted")} →`, el("br"), `${say("true_class")} ↓`),
    ...names.map((name) => el("th", { scope: "col", title: name }, el("span", {}, name))));
  const rows = counts.map((row, i) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    const cells = row.map((count, j) => el("td", {
      class: `${i === j ? "right" : "wrong"} shade-${shade(count, total)}`,
      title: total ? `${names[i]} → ${names[j]}: ${percent(count / total, 1)}` : null,
    }, number(count)));
    return el("tr", {}, el("th", { scope: "row", title: names[i] }, names[i]), ...cells);
  });
  const caption = el("caption", { class: "hidden" }, say("matrix_of", { name: run.name }));
  return el("table", { class: names.length > DENSE_FROM ? "counts dense" : "counts" }, caption, el("thead", {}, head), el("tbody", {}, ...rows));
}

function picture(run, names, counts) {
  const k = names.length;
  const canvas = el("canvas", { width: k, height: k, role: "img", "aria-label": say("matrix_of", { name: run.name }) });
  const style = getComputedStyle(document.documentElement);
  const right = style.getPropertyValue("--right").trim();
  const wrong = style.getPropertyValue("--wrong").trim();
  const pen = canvas.getContext("2d");
  counts.forEach((row, i) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    row.forEach((count, j) => {
      if (!count) return;
      pen.globalAlpha = 0.12 + 0.88 * Math.sqrt(count / total);
      pen.fillStyle = i === j ? right : wrong;
      pen.fillRect(j, i, 1, 1);
    });
  });
  return canvas;
}

function worst(names, counts) {
  const pairs = counts.flatMap((row, i) => row.map((count, j) => ({ count, i, j })));
  const errors = pairs.filter(({ count, i, j }) => count && i !== j).sort((a, b) => b.count - a.count);
  const items = errors.slice(0, WORST).map(({ count, i, j }) => el("li", {},
    el("span", {}, say("confused", { true: names[i], predicted: names[j] })),
    el("span", { class: "quiet" }, count === 1 ? say("once") : say("times", { n: number(count) }))));
  const list = items.length ? el("ol", { class: "worst" }, ...items) : el("p", { class: "quiet" }, say("no_errors"));
  return el("div", {}, el("h4", {}, say("top_errors")), list);
}
