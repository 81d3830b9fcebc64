// One picture and what the model says of it.

import { fillBars } from "./bars.js";
import { PictureCard } from "./picturecard.js";
import { ask, Refusal } from "./server.js";
import { announce, el, number, percent, say } from "./words.js";

const TOP = 5;
const HARDLY = 0.01; // as evaluation.explain: under it, no part decides the answer
const NEW_CLASS = "\0new"; // no class has this name

export class Card extends PictureCard {
  // hooks, besides those of each card: model(), settings()
  constructor(picture, hooks) {
    super(picture, hooks);
    Object.assign(this, { prediction: null, reading: {} });
  }

  build() {
    this.heat = el("img", { class: "heat", alt: "", hidden: true });
    this.spot = el("span", { class: "spot", hidden: true });
    this.sentence = el("p", { class: "sentence quiet", hidden: true });
    this.look = el("button", { type: "button", class: "looker", "aria-pressed": "false" });
    this.retry = el("button", { type: "button", hidden: true });
    this.flip = el("button", { type: "button", hidden: true });
    this.actions = el("div", { class: "buttons" }, this.look, this.flip, this.retry);
    super.build(el("img", { class: "pixels" }), [this.heat, this.spot], [this.actions, this.sentence]);
    if (this.hooks.settings().corrections) this.buildCorrection();
    this.retry.addEventListener("click", () => this.ask());
    this.look.addEventListener("click", () => this.toggleLook());
    this.flip.addEventListener("click", () => {
      this.reading = { invert: this.prediction.inverted ? "no" : "yes" };
      this.ask();
    });
    this.preview.addEventListener("error", () => this.standIn());
    this.preview.addEventListener("load", () => this.element.classList.remove("unseen"));
  }

  buildCorrection() {
    const id = `class-${this.id}`;
    this.correct = el("button", { type: "button", "aria-expanded": "false", "aria-controls": `${id}-form` });
    this.select = el("select", { id });
    this.typed = el("input", { type: "text", maxlength: "100", autocomplete: "off", spellcheck: "false", hidden: true });
    this.keep = el("button", { type: "submit", class: "main" });
    this.correctLabel = el("label", { for: id });
    this.keptText = el("p", { class: "kept", role: "status" });
    this.form = el("form", { id: `${id}-form`, class: "correction", hidden: true },
      this.correctLabel, this.select, this.typed, this.keep);
    this.actions.append(this.correct);
    this.side.append(this.form, this.keptText);
    this.correct.addEventListener("click", () => this.toggleCorrection());
    this.select.addEventListener("change", () => {
      this.typed.hidden = this.select.value !== NEW_CLASS;
      if (!this.typed.hidden) this.typed.focus();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.sendCorrection();
    });
  }

  // Ask the model; an earlier question that is not answered yet is given up.
  async ask() {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const hooks = { signal: asking.signal, busy: () => this.turn("waiting") };
    this.forgetLook();
    this.turn("working");
    const model = this.hooks.model().name;
    try {
      if (this.strokes && this.hooks.model().draws) {
        const path = JSON.stringify({ strokes: this.strokes });
        const digit = await ask("page/drawing", { model }, path, { ...hooks, type: "application/json" });
        this.photo = await digit.blob();
        this.redraw();
      }
      this.checkSize();
      const raw = { ...hooks, type: "application/octet-stream" };
      const answer = await ask("predict", { model, top_k: TOP, file: this.name, ...this.reading }, this.photo, raw);
      [this.prediction] = await answer.json();
      this.turn("done");
      this.tell(this.prediction);
      const quietly = { ...raw, busy: undefined }; // the answer stands: the card waits no more
      const seen = await ask("page/seen", { model, file: this.name, ...this.reading }, this.photo, quietly);
      this.showSeen(await seen.blob());
    } catch (error) {
      if (error.name === "AbortError" || asking !== this.asking) return;
      if (!(error instanceof Refusal)) throw error;
      this.reason = error.message;
      this.hopeless = error.hopeless;
      this.turn("failed");
      this.tellFailed(this.reason);
    }
  }

  checkSize() {
    const limit = this.hooks.settings().max_bytes;
    if (this.photo.size <= limit) return;
    const size = number(Math.ceil(this.photo.size / 2 ** 20 * 10) / 10, 1); // never the limit itself
    throw new Refusal(say("too_large", { size, limit: number(limit / 2 ** 20, 1) }), { hopeless: true });
  }

  showSeen(blob) {
    URL.revokeObjectURL(this.seenUrl);
    this.seenUrl = URL.createObjectURL(blob);
    this.seen.src = this.seenUrl;
    this.standIn();
  }

  standIn() {
    if (!this.element.classList.contains("unseen") || !this.seenUrl) return;
    this.preview.classList.add("stand-in");
    this.preview.src = this.seenUrl;
  }

  // All texts again: the state or the language has changed.
  draw() {
    const { state, prediction } = this;
    const model = this.hooks.model();
    const done = state === "done";
    const unsure = done && !prediction.sure;
    super.draw();
    this.title.textContent = done ? this.shown(prediction.label) : say(state === "waiting" ? "waiting" : "working");
    if (state === "failed") this.title.textContent = this.reason;
    const outlier = done && prediction.outlier === true; // says more than "not sure"
    this.element.classList.toggle("unsure", unsure || outlier);
    const inverted = done && prediction.inverted === true;
    const signs = [];
    if (inverted) signs.push(el("strong", {}, say("inverted")), " ", el("span", {}, say("inverted_hint")), " ");
    if (outlier) signs.push(el("strong", {}, say("outlier")), " ", el("span", {}, say("outlier_hint")));
    else if (unsure) signs.push(el("strong", {}, say("not_sure")), " ", el("span", {}, say("unsure_hint", { threshold: percent(model.threshold) })));
    this.sign.hidden = !signs.length;
    this.sign.replaceChildren(...signs);
    this.flip.textContent = say(inverted ? "read_as_is" : "read_inverted");
    this.flip.hidden = !done || !model.grey;
    this.seen.alt = say("seen_of", { name: this.name, size: model.size });
    this.captions[1].textContent = say(this.heat.hidden ? "seen" : "looked");
    this.look.textContent = say(this.looking ? "looking" : "looked");
    this.retry.textContent = say("retry");
    this.retry.hidden = state !== "failed" || this.hopeless;
    this.look.hidden = !done;
    if (done) fillBars(this.bars, prediction.top.map(({ label, probability }) => [this.shown(label), probability]), model.threshold);
    if (this.form) this.drawCorrection();
  }

  shown(label) {
    return this.hooks.model().shown.get(label) ?? label;
  }

  async toggleLook() {
    if (this.looking) return;
    if (!this.explanation) {
      this.looking = true;
      this.draw();
      try {
        const type = "application/octet-stream";
        const answer = await ask("explain", { model: this.hooks.model().name, ...this.reading }, this.photo, { type, signal: this.asking.signal, patience_s: 0 });
        this.explanation = await answer.json();
        this.showHeat();
      } catch (error) {
        if (error.name === "AbortError") return;
        if (!(error instanceof Refusal)) throw error;
        this.sentence.textContent = error.message;
        this.sentence.hidden = false;
        announce(error.message);
      } finally {
        this.looking = false;
        this.draw();
      }
      if (!this.explanation) return;
    }
    const open = this.heat.hidden;
    this.heat.hidden = this.sentence.hidden = !open;
    this.spot.hidden = !open || this.explanation.probability - this.explanation.covered_probability < HARDLY;
    this.element.classList.toggle("explained", open);
    this.look.setAttribute("aria-pressed", String(open));
    this.draw();
    if (open) announce(this.explanation.sentence);
  }

  showHeat() {
    const { heatmap, heat_box: [left, top, right, bottom], sentence } = this.explanation;
    this.heat.src = `data:image/png;base64,${heatmap}`;
    this.heat.alt = say("looked_of", { name: this.name });
    for (const [name, share] of Object.entries({ left, top, right: 1 - right, bottom: 1 - bottom })) {
      this.spot.style[name] = `${100 * share}%`;
    }
    this.sentence.textContent = sentence;
  }

  forgetLook() {
    this.explanation = null;
    this.looking = false;
    this.heat.hidden = this.spot.hidden = this.sentence.hidden = true;
    this.element.classList.remove("explained");
    this.look.setAttribute("aria-pressed", "false");
  }

  drawCorrection() {
    this.correct.hidden = this.state !== "done";
    this.form.hidden = this.form.hidden || this.state !== "done";
    this.correct.textContent = say("correct");
    this.correctLabel.textContent = say("right_class");
    this.keep.textContent = say("keep");
    this.typed.placeholder = say("new_class");
    this.typed.setAttribute("aria-label", say("new_class"));
    if (this.state !== "done") return;
    const chosen = this.select.value || this.prediction.label;
    const options = [...this.hooks.model().shown].map(([value, text]) => el("option", { value }, text));
    this.select.replaceChildren(...options, el("option", { value: NEW_CLASS }, say("another")));
    this.select.value = chosen;
    if (this.select.value !== chosen) this.select.value = this.prediction.label;
    this.typed.hidden = this.select.value !== NEW_CLASS;
  }

  toggleCorrection() {
    this.form.hidden = !this.form.hidden;
    this.correct.setAttribute("aria-expanded", String(!this.form.hidden));
    this.keptText.textContent = "";
    this.keptText.classList.remove("bad");
    if (!this.form.hidden) this.select.focus();
  }

  async sendCorrection() {
    const label = this.select.value === NEW_CLASS ? this.typed.value : this.select.value;
    this.keep.disabled = true;
    try {
      const values = { model: this.hooks.model().name, label, file: this.name };
      const answer = await ask("corrections", values, this.photo, { type: "application/octet-stream" });
      const kept = await answer.json();
      this.form.hidden = true;
      this.correct.setAttribute("aria-expanded", "false");
      this.correct.focus();
      this.keptText.classList.remove("bad");
      this.keptText.textContent = say(kept.new ? "kept" : "kept_before", { label: this.shown(kept.label) });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.keptText.classList.add("bad");
      this.keptText.textContent = error.message;
    } finally {
      this.keep.disabled = false;
    }
  }

  // The language has changed: sentences that the server wrote are asked for again.
  retell() {
    if (this.state === "failed") {
      this.ask();
      return;
    }
    const open = !this.heat.hidden;
    this.forgetLook();
    if (this.keptText) this.keptText.textContent = "";
    this.draw();
    if (open) this.toggleLook();
  }

  gone() {
    this.asking?.abort();
    URL.revokeObjectURL(this.seenUrl);
    super.gone();
  }
}
