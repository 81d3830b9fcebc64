// What the network says of a picture, as people read it.

import { fillBars } from "./bars.js";
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

// The bars of an answer, see looks/bars.js.
export function fillAnswer(list, answer, facts, shown) {
  fillBars(list, answer.top.map(([label, probability]) => [shown(label), probability]), facts.threshold);
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
    fillAnswer(this.bars, answer, facts, shown);
  }
}
