// The confusion matrix: a cell opens its photos. Above twenty classes the pairs alone are listed.

import { button, wholePercent } from "./pieces.js";
import { el, number, say } from "./words.js";

const NUMBERS_UP_TO = 20;
const DENSE_FROM = 12;
const WORST = 6;
const SHADES = 8;

// `open(true class, predicted class)` shows the photos of a cell.
export function matrix(names, counts, open) {
  const parts = names.length <= NUMBERS_UP_TO ? [el("div", { class: "scroll" }, table(names, counts, open))] : [];
  return el("div", {}, ...parts, pairs(names, counts, open));
}

// 0 for none, else 1 to SHADES, by the root of the share: one error in a hundred still shows.
function shade(count, total) {
  return count && total ? Math.max(1, Math.round(Math.sqrt(count / total) * SHADES)) : 0;
}

function table(names, counts, open) {
  const head = el("tr", {}, el("td", { class: "corner" }, `${say("predicted")} →`, el("br"), `${say("true_class")} ↓`),
    ...names.map((name) => el("th", { scope: "col", title: name }, el("span", {}, name))));
  const rows = counts.map((row, i) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    const cells = row.map((count, j) => {
      const label = say("cell", { true: names[i], predicted: names[j], n: number(count) });
      return el("td", { class: `${i === j ? "right" : "wrong"} shade-${shade(count, total)}` },
        count ? button(number(count), "cell", () => open(names[i], names[j]), { "aria-label": label, title: `${label} (${wholePercent(count / total)})` }) : "0");
    });
    return el("tr", {}, el("th", { scope: "row", title: names[i] }, names[i]), ...cells);
  });
  return el("table", { class: names.length > DENSE_FROM ? "counts dense" : "counts" },
    el("caption", { class: "hidden" }, say("matrix")), el("thead", {}, head), el("tbody", {}, ...rows));
}

function pairs(names, counts, open) {
  const errors = counts.flatMap((row, i) => row.map((count, j) => ({ count, i, j }))).filter(({ count, i, j }) => count && i !== j);
  if (!errors.length) return el("p", { class: "quiet small" }, say("no_errors"));
  const items = errors.sort((a, b) => b.count - a.count).slice(0, WORST).map(({ count, i, j }) => el("li", {},
    button(say("confused", { true: names[i], predicted: names[j], n: number(count) }), "link", () => open(names[i], names[j]))));
  return el("ul", { class: "pairs small" }, ...items);
}
