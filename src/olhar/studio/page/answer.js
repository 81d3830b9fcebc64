// What the model says of one picture: the class, bars, and how sure it is.

import { button, wholePercent } from "./pieces.js";
import { ask, Refusal } from "./server.js";
import { announce, el, say } from "./words.js";

const MOST_BARS = 10;
const LIVE_SHOWN_MS = 600; // a sign that comes and goes is not read

export class Answer {
  constructor({ look }) {
    this.label = el("p", { class: "label" });
    this.sign = el("p", { class: "sign" });
    this.bars = el("ul", { class: "bars", "aria-label": say("bars") });
    this.look = button(say("look_where"), "button", look);
    this.text = el("p", { class: "small" });
    this.bar = el("progress", { "aria-label": say("looking_where"), hidden: true });
    this.rate = el("p", { class: "quiet small rate", "aria-hidden": "true" });
    this.element = el("div", { class: "answer" }, this.label, this.sign, this.bars, el("div", { class: "buttons" }, this.look), this.bar, this.text, this.rate);
    this.rows = new Map();
    this.forget();
  }

  forget() {
    this.asking?.abort();
    this.label.textContent = say("nothing_yet");
    this.label.classList.add("quiet");
    this.sign.hidden = this.look.hidden = true;
    this.text.textContent = this.rate.textContent = "";
    this.text.classList.remove("notice");
    this.bars.replaceChildren();
    this.rows.clear();
    this.times = [];
    this.spoken = this.signed = "";
  }

  // Whether there was an answer. `live`: one of many pictures, of which screen readers hear changes alone.
  async ask(photo, model, { live = false } = {}) {
    this.asking?.abort();
    const mine = new AbortController();
    this.asking = mine;
    try {
      const found = await ask("api/predict", { method: "POST", values: { model: model.run }, body: photo, type: photo.type || "application/octet-stream", signal: mine.signal });
      this.show(Array.isArray(found) ? found[0] : found, live);
      return true;
    } catch (error) {
      if (error.name === "AbortError") return false;
      if (!(error instanceof Refusal)) throw error;
      this.forget();
      this.label.textContent = "";
      this.text.textContent = error.message;
      this.text.classList.add("notice");
      announce(error.message);
      return false;
    }
  }

  show(found, live) {
    this.text.textContent = "";
    this.text.classList.remove("notice");
    this.label.classList.remove("quiet");
    this.label.textContent = found.sure && found.outlier !== true ? found.label : `${found.label}?`;
    this.showSign(found.outlier === true ? "outlier" : found.sure ? "" : "unsure", live);
    this.look.hidden = false;
    this.element.classList.toggle("unsure", !found.sure || found.outlier === true);
    this.showBars(found.top);
    if (live) this.count();
    const share = wholePercent(found.probability);
    const text = found.outlier ? say("said_outlier", { label: found.label, share }) : found.sure ? say("said", { label: found.label, share }) : say("said_unsure", { label: found.label, share });
    const now = performance.now();
    if (live && (this.spoken === found.label + found.sure || now - (this.spokenAt ?? 0) < 3000)) return;
    this.spoken = found.label + found.sure;
    this.spokenAt = now;
    announce(text);
  }

  showSign(kind, live) {
    const at = performance.now();
    if (live && kind !== this.signed && at - (this.signedAt ?? 0) < LIVE_SHOWN_MS) return;
    if (kind !== this.signed) this.signedAt = at;
    this.signed = kind;
    this.sign.hidden = !kind;
    if (kind === "outlier") this.sign.replaceChildren(el("strong", {}, say("outlier")), " ", say("outlier_hint"));
    else if (kind) this.sign.replaceChildren(el("strong", {}, say("not_sure")), " ", say("unsure_hint"));
  }

  // Classes keep their places, so that bars can be followed; of many classes the most probable are shown.
  showBars(top) {
    const fresh = top.filter(({ label }) => !this.rows.has(label));
    if (fresh.length) {
      if (this.rows.size + fresh.length > MOST_BARS) this.rows.clear();
      for (const { label } of top) if (!this.rows.has(label)) this.rows.set(label, bar(label));
      const sorted = [...this.rows].sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
      this.bars.replaceChildren(...sorted.map(([, { row }]) => row));
    }
    const said = new Map(top.map(({ label, probability }) => [label, probability]));
    for (const [label, { fill, share, row }] of this.rows) {
      fill.style.setProperty("--share", said.get(label) ?? 0);
      share.textContent = said.has(label) ? wholePercent(said.get(label)) : "";
      row.classList.toggle("best", label === top[0].label);
    }
  }

  count() {
    const at = performance.now();
    this.times = [...this.times.filter((one) => at - one < 2000), at];
    if (this.times.length > 4) this.rate.textContent = say("rate", { n: Math.round(this.times.length / 2) });
    this.element.dataset.rate = this.times.length / 2;
  }

  async explain(photo, model) {
    this.look.disabled = true;
    this.bar.hidden = false;
    this.text.textContent = say("looking_where");
    try {
      const found = await ask("api/explain", { method: "POST", values: { model: model.run }, body: photo, type: photo.type || "application/octet-stream" });
      this.text.textContent = found.text;
      announce(found.text);
      return found;
    } catch (error) {
      this.text.textContent = "";
      throw error;
    } finally {
      this.look.disabled = false;
      this.bar.hidden = true;
    }
  }
}

function bar(label) {
  const fill = el("span", { class: "bar" });
  const share = el("span", { class: "share" });
  return { fill, share, row: el("li", {}, el("span", { class: "of" }, label), el("span", { class: "track", "aria-hidden": "true" }, fill), share) };
}
