// What the network says of a picture, as people read it.

import { el, percent, say } from "./words.js";

const TOP = 5;

// The answer of the worker → { top, label, probability, sure, outlier }; top: [label, probability], best first.
export function judge({ probabilities, distance }, facts) {
  const order = [...probabilities.keys()].sort((one, other) => probabilities[other] - probabilities[one] || one - other);
  const top = order.slice(0, TOP).map((at) => [facts.labels[at], probabilities[at]]);
  const [label, probability] = top[0];
  return { top, label, probability, sure: probability >= facts.threshold, outlier: distance !== null && distance > facts.outlier.threshold };
}

// What makes an answer doubtful, in words, or null.
export function doubt({ sure, outlier }, facts) {
  if (outlier) return [say("outlier"), say("outlier_hint")]; // says more than "not sure"
  return sure ? null : [say("not_sure"), say("unsure_hint", { threshold: percent(facts.threshold) })];
}

// Bars in a list that is there; they move from what they showed before.
export function fillBars(list, answer, facts, shown, most = TOP) {
  list.classList.toggle("marked", facts.threshold > 0);
  list.style.setProperty("--threshold", facts.threshold);
  list.setAttribute("aria-label", say("bars"));
  list.title = facts.threshold > 0 ? say("sure_from", { threshold: percent(facts.threshold) }) : "";
  const rows = answer.top.slice(0, most);
  while (list.children.length > rows.length) list.lastChild.remove();
  while (list.children.length < rows.length) {
    list.append(el("li", {}, el("span", { class: "of" }),
      el("span", { class: "track", "aria-hidden": "true" }, el("span", { class: "bar" })), el("span", { class: "share" })));
  }
  rows.forEach(([label, probability], at) => {
    const [of, track, share] = list.children[at].children;
    of.textContent = shown(label);
    track.firstChild.style.setProperty("--share", probability);
    share.textContent = percent(probability);
  });
}

// The answer of this moment, large, beside the camera or the sheet. Screen readers hear it elsewhere.
export class Now {
  constructor(element) {
    this.element = element;
    this.title = el("p", { class: "label" });
    this.sign = el("p", { class: "sign" });
    this.bars = el("ol", { class: "bars" });
  }

  show(answer, facts, shown) {
    if (!answer) {
      this.element.replaceChildren();
      return;
    }
    if (!this.element.children.length) this.element.append(this.title, this.sign, this.bars);
    const unsure = doubt(answer, facts);
    this.element.classList.toggle("unsure", Boolean(unsure));
    this.element.classList.toggle("short", facts.labels.every((label) => shown(label).length < 3));
    this.title.textContent = shown(answer.label);
    this.sign.replaceChildren(...(unsure ? [el("strong", {}, unsure[0])] : []));
    fillBars(this.bars, answer, facts, shown);
  }
}
