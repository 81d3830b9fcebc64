// The learning curve while it grows: how many are named rightly, of the photos learnt from and of others.

import { wholePercent } from "./pieces.js";
import { el, say, svg } from "./words.js";

const HEIGHT = 190;
const MARGIN = { top: 12, right: 16, bottom: 26, left: 48 };

export function drawCurves(holder, rows) {
  if (rows.length < 2) {
    holder.replaceChildren();
    return;
  }
  const width = Math.max(260, holder.clientWidth);
  const values = rows.flatMap((row) => [row.val_accuracy, row.train_accuracy]).filter((value) => typeof value === "number");
  const low = Math.min(0.9, Math.floor(Math.min(...values, 1) * 10) / 10);
  const first = rows[0].epoch;
  const last = Math.max(rows.at(-1).epoch, first + 1);
  const x = (epoch) => MARGIN.left + ((epoch - first) / (last - first)) * (width - MARGIN.left - MARGIN.right);
  const y = (value) => MARGIN.top + (1 - (value - low) / (1 - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const line = (name) => {
    const points = rows.filter((row) => typeof row[name] === "number").map((row) => `${x(row.epoch).toFixed(1)} ${y(row[name]).toFixed(1)}`);
    return svg("path", { class: `line ${name}`, d: points.length ? `M${points.join("L")}` : "" });
  };
  const levels = [low, (low + 1) / 2, 1].map((level) => svg("g", {},
    svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(level), y2: y(level) }),
    svg("text", { x: MARGIN.left - 9, y: y(level) + 4, "text-anchor": "end" }, wholePercent(level))));
  const label = say("curve", { value: wholePercent(rows.at(-1).val_accuracy ?? 0), n: rows.length });
  holder.replaceChildren(
    svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label },
      svg("g", { class: "axes" }, ...levels, svg("text", { x: width - MARGIN.right, y: HEIGHT - 6, "text-anchor": "end" }, say("rounds", { n: rows.length }))),
      line("train_accuracy"), line("val_accuracy")),
    el("p", { class: "key small quiet" }, el("span", { class: "key-val" }, say("curve_val")), el("span", { class: "key-train" }, say("curve_train"))));
}
