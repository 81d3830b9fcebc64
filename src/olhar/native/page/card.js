// One picture and what the network says of it.

import { doubt, fillBars } from "./answers.js";
import { drawn } from "./draw.js";
import { NotRead } from "./notread.js";
import { announce, el, number, percent, say } from "./words.js";

let count = 0;

export class Card {
  // picture: { name, blob } of a file, or { name, strokes } of a drawing, which may change.
  // hooks: facts, shown(label), look(picture), changed(), removed(card)
  constructor(picture, hooks) {
    Object.assign(this, picture, { hooks, id: (count += 1), state: "working", answer: null, asked: 0 });
    this.build();
    if (this.blob) {
      this.url = URL.createObjectURL(this.blob);
      this.preview.src = this.url;
    }
  }

  build() {
    const id = `card-${this.id}`;
    this.title = el("h3", { id, class: "label", tabindex: "-1" });
    this.file = el("p", { class: "file quiet" });
    this.sign = el("p", { class: "sign" });
    this.bars = el("ol", { class: "bars" });
    this.preview = this.strokes ? drawn(this.strokes) : el("img", { class: "shot" });
    this.seen = el("canvas", { class: "pixels", role: "img" });
    this.captions = [el("figcaption"), el("figcaption")];
    this.remove = el("button", { type: "button", class: "close" }, "×");
    this.pictures = el("div", { class: "pictures" },
      el("figure", {}, el("span", { class: "frame" }, this.preview), this.captions[0]),
      el("figure", {}, el("span", { class: "frame" }, this.seen), this.captions[1]));
    this.element = el("li", { class: "card panel", "aria-labelledby": id, "aria-busy": "true" },
      el("div", { class: "head" }, this.file, this.remove), this.pictures,
      el("div", { class: "answer" }, this.title, this.sign, this.bars));
    this.remove.addEventListener("click", () => this.hooks.removed(this));
    // A picture that the browser cannot show is shown as the network sees it.
    this.preview.addEventListener("error", () => this.element.classList.add("unseen"));
  }

  // Ask the network; the answer to an earlier question is passed over.
  async ask() {
    const asked = (this.asked += 1);
    this.turn("working");
    if (this.strokes) this.redraw();
    try {
      const { answer, seen } = await this.hooks.look(this);
      if (asked !== this.asked) return;
      this.answer = answer;
      this.showSeen(seen);
      this.turn("done");
      this.tell();
    } catch (error) {
      if (!(error instanceof NotRead)) throw error;
      if (asked !== this.asked) return;
      this.problem = error;
      this.turn("failed");
      announce(say("said_failed", { name: this.name, reason: this.reason() }));
    }
  }

  redraw() {
    const sheet = drawn(this.strokes);
    this.preview.replaceWith(sheet);
    this.preview = sheet;
  }

  reason() {
    const { code, values } = this.problem;
    const shown = Object.entries(values).map(([key, value]) => [key, typeof value === "number" ? number(value) : value]);
    return say(`failed_${code}`, Object.fromEntries(shown));
  }

  showSeen(seen) {
    const { size, channels } = this.hooks.facts;
    this.seen.width = this.seen.height = size;
    const image = new ImageData(size, size);
    for (let at = 0; at < size * size; at += 1) {
      for (let one = 0; one < 3; one += 1) image.data[4 * at + one] = seen[channels * at + (channels === 1 ? 0 : one)];
      image.data[4 * at + 3] = 255;
    }
    this.seen.getContext("2d").putImageData(image, 0, 0);
    this.pixels = seen;
  }

  turn(state) {
    this.state = state;
    this.draw();
    this.hooks.changed();
  }

  // All texts again: the state or the language has changed.
  draw() {
    const { state, answer } = this;
    const { facts, shown } = this.hooks;
    const done = state === "done";
    const unsure = done ? doubt(answer, facts) : null;
    this.element.dataset.state = state;
    this.element.setAttribute("aria-busy", String(state === "working"));
    this.file.textContent = this.name;
    this.title.textContent = done ? shown(answer.label) : state === "failed" ? this.reason() : say("working");
    this.element.classList.toggle("unsure", Boolean(unsure));
    this.sign.hidden = !unsure;
    if (unsure) this.sign.replaceChildren(el("strong", {}, unsure[0]), " ", el("span", {}, unsure[1]));
    this.remove.setAttribute("aria-label", say("remove", { name: this.name }));
    if (this.strokes) this.preview.setAttribute("aria-label", this.name);
    else this.preview.alt = this.name;
    this.seen.setAttribute("aria-label", say("seen_of", { name: this.name, size: facts.size }));
    this.captions[0].textContent = say("picture");
    this.captions[1].textContent = say("seen");
    this.bars.hidden = !done;
    if (done) fillBars(this.bars, answer, facts, shown);
  }

  tell() {
    const { label, probability, sure, outlier } = this.answer;
    const values = { name: this.name, label: this.hooks.shown(label), share: percent(probability) };
    announce(say(outlier ? "said_outlier" : sure ? "said" : "said_unsure", values));
  }

  gone() {
    this.asked += 1;
    URL.revokeObjectURL(this.url);
    this.element.remove();
  }
}
