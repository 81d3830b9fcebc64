// Learning curves as SVG: a line for each run, its letter at the end, a scale that suits all.

import { letter, mark, number, percent } from "./figures.js";
import { el, say, svg } from "./words.js";

const MARGIN = { top: 14, right: 44, bottom: 34, left: 52 };
const LABEL_GAP = 19;

// runs: [{slot, name, history, best_epoch}]; measure: "accuracy" or "loss".
export function drawCurves(holder, runs, { measure, withTrain, epoch }) {
  const drawn = runs.filter((run) => run.history.epoch.length);
  if (!drawn.length) {
    holder.replaceChildren(el("p", { class: "none" }, say("no_epochs")));
    return;
  }
  const width = Math.max(260, holder.clientWidth);
  const height = Math.round(Math.min(380, Math.max(230, width * 0.42)));
  const parts = withTrain ? ["val", "train"] : ["val"];
  const scale = scales(drawn, parts, measure, width, height);
  const names = drawn.map((run) => `${letter(run.slot)} ${run.name}`).join(", ");
  const title = measure === "loss" ? say("loss") : say("accuracy");
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": say("curve_label", { measure: title, names }),
  });
  picture.append(axes(scale, measure, width, height));
  if (epoch !== null) picture.append(rule(scale, epoch, height));
  for (const run of drawn) picture.append(lines(run, parts, measure, scale, epoch));
  picture.append(endLabels(drawn, measure, scale));
  holder.replaceChildren(picture);
}

function values(run, part, measure) {
  return run.history[`${part}_${measure}`];
}

function scales(runs, parts, measure, width, height) {
  const all = runs.flatMap((run) => parts.flatMap((part) => values(run, part, measure)));
  const known = all.filter((value) => value !== null);
  let low = measure === "loss" ? 0 : Math.min(...known, 1);
  let high = measure === "loss" ? Math.max(...known, 0.01) : Math.max(...known, 0.01);
  if (high - low < 0.01) low = high - 0.01;
  const step = niceStep((high - low) / 5);
  low = Math.floor(low / step + 1e-9) * step;
  high = Math.ceil(high / step - 1e-9) * step;
  const last = Math.max(2, ...runs.map((run) => run.history.epoch.at(-1)));
  const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
  return {
    low, high, step, last,
    x: (epoch) => MARGIN.left + ((epoch - 1) / (last - 1)) * inner.width,
    y: (value) => MARGIN.top + (1 - (value - low) / (high - low)) * inner.height,
  };
}

function niceStep(rough) {
  const size = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((factor) => factor * size >= rough * 0.999) * size;
}

function axes(scale, measure, width, height) {
  const group = svg("g", { class: "axes" });
  const count = Math.round((scale.high - scale.low) / scale.step);
  const digits = Math.max(0, -Math.floor(Math.log10(scale.step) + 1e-9));
  for (let i = 0; i <= count; i += 1) {
    const value = scale.low + i * scale.step;
    const y = scale.y(value);
    const shown = measure === "loss" ? number(value, digits) : percent(value, Math.max(0, digits - 2));
    group.append(
      svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }),
      svg("text", { x: MARGIN.left - 10, y: y + 4, "text-anchor": "end" }, shown),
    );
  }
  const every = Math.max(1, Math.ceil(niceStep(scale.last / Math.max(2, width / 110))));
  for (let epoch = 1; epoch <= scale.last; epoch += epoch === 1 && every > 1 ? every - 1 : every) {
    group.append(svg("text", { x: scale.x(epoch), y: height - 12, "text-anchor": "middle" }, String(epoch)));
  }
  group.append(svg("text", { x: MARGIN.left - 10, y: height - 12, "text-anchor": "end" }, say("epoch")));
  return group;
}

function rule(scale, epoch, height) {
  const x = scale.x(epoch);
  return svg("line", { class: "rule", x1: x, x2: x, y1: MARGIN.top, y2: height - MARGIN.bottom });
}

function lines(run, parts, measure, scale, epoch) {
  const group = svg("g", { class: `run-${run.slot % 7}`, "data-run": run.id });
  for (const part of [...parts].reverse()) {
    const points = run.history.epoch.map((at, i) => [at, values(run, part, measure)[i]]);
    group.append(svg("path", { class: `line ${part}`, d: path(points, scale), "data-points": points.length }));
  }
  const dots = [[run.best_epoch, "best"], [epoch, "at"]];
  for (const [at, kind] of dots) {
    const value = valueAt(run, "val", measure, at);
    if (value !== null) group.append(svg("circle", { class: kind, cx: scale.x(at), cy: scale.y(value), r: 4 }));
  }
  return group;
}

// A gap in the line wherever a value is not a number.
function path(points, scale) {
  let pen = "M";
  let d = "";
  for (const [at, value] of points) {
    if (value === null) pen = "M";
    else {
      d += `${pen}${scale.x(at).toFixed(1)} ${scale.y(value).toFixed(1)}`;
      pen = "L";
    }
  }
  return points.length === 1 && d ? `${d}h0.01` : d;
}

// Letters at the ends of the lines, pushed apart where they would lie on each other.
function endLabels(runs, measure, scale) {
  const labels = runs.map((run) => {
    const column = values(run, "val", measure);
    const last = column.findLastIndex((value) => value !== null);
    return last < 0 ? null : { run, x: scale.x(run.history.epoch[last]), y: scale.y(column[last]) };
  }).filter((label) => label !== null);
  labels.sort((a, b) => a.y - b.y);
  let free = -Infinity;
  for (const label of labels) {
    label.shown = Math.max(label.y, free);
    free = label.shown + LABEL_GAP;
  }
  const over = free - LABEL_GAP - scale.y(scale.low) - 6;
  let limit = Infinity;
  for (const label of [...labels].reverse()) {
    if (over > 0) label.shown = Math.min(label.shown, limit, scale.y(scale.low) + 6);
    limit = label.shown - LABEL_GAP;
  }
  return svg("g", { class: "ends" }, ...labels.map((label) => svg(
    "g", { class: `run-${label.run.slot % 7}` },
    svg("path", { class: "leader", d: `M${label.x + 2} ${label.y}L${label.x + 10} ${label.shown}` }),
    svg("circle", { cx: label.x + 18, cy: label.shown, r: 8.5 }),
    svg("text", { x: label.x + 18, y: label.shown + 3.8, "text-anchor": "middle" }, letter(label.run.slot)),
  )));
}

export function valueAt(run, part, measure, epoch) {
  const index = run.history.epoch.indexOf(epoch);
  return index < 0 ? null : values(run, part, measure)[index];
}

export function lastEpoch(runs) {
  return Math.max(1, ...runs.map((run) => run.history.epoch.at(-1) ?? 1));
}

// Which epoch lies under a pointer at `x` pixels from the chart's left edge.
export function epochAt(x, width, last) {
  const share = (x - MARGIN.left) / (Math.max(260, width) - MARGIN.left - MARGIN.right);
  return Math.round(1 + Math.min(1, Math.max(0, share)) * (Math.max(2, last) - 1));
}

// The figures of the curves as a table: at one epoch (null: the latest of each), and the best.
export function drawFigures(table, runs, { measure, withTrain, epoch }) {
  const shown = (value) => {
    if (value === null || value === undefined) return "–";
    return measure === "loss" ? number(value, 4) : percent(value);
  };
  const heads = [epoch === null ? say("latest") : say("at_epoch", { n: epoch }), say("validation"), ...(withTrain ? [say("train")] : []), say("best")];
  const head = el("tr", {}, ...heads.map((text, i) => el("th", { scope: "col", class: i ? "figure" : "" }, text)));
  const rows = runs.map((run) => {
    const best = valueAt(run, "val", measure, run.best_epoch);
    const at = epoch ?? run.history.epoch.at(-1);
    const cells = [shown(valueAt(run, "val", measure, at))];
    if (withTrain) cells.push(shown(valueAt(run, "train", measure, at)));
    cells.push(best === null ? "–" : say("best_at", { value: shown(best), n: run.best_epoch }));
    const name = el("th", { scope: "row" }, el("span", { class: "named" }, mark(run.slot), el("span", { class: "clip" }, run.name)));
    return el("tr", {}, name, ...cells.map((text) => el("td", { class: "figure" }, text)));
  });
  table.replaceChildren(el("thead", {}, head), el("tbody", {}, ...rows));
}
