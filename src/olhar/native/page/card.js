// One picture and what the network says of it.

import { doubt, fillAnswer } from "./answers.js";
import { NotRead } from "./notread.js";
import { PictureCard } from "./picturecard.js";
import { el, number, say } from "./words.js";

export class Card extends PictureCard {
  // hooks, besides those of each card: facts, shown(label), look(picture)
  constructor(picture, hooks) {
    super(picture, hooks);
    Object.assign(this, { answer: null, asked: 0 });
  }

  build() {
    super.build(el("canvas", { class: "pixels", role: "img" }));
  }

  shown(label) {
    return this.hooks.shown(label);
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
      this.tell(answer);
    } catch (error) {
      if (!(error instanceof NotRead)) throw error;
      if (asked !== this.asked) return;
      this.problem = error;
      this.turn("failed");
      this.tellFailed(this.reason());
    }
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

  // All texts again: the state or the language has changed.
  draw() {
    const { state, answer } = this;
    const { facts, shown } = this.hooks;
    const done = state === "done";
    const unsure = done ? doubt(answer, facts) : null;
    super.draw();
    this.title.textContent = done ? shown(answer.label) : state === "failed" ? this.reason() : say("working");
    this.element.classList.toggle("unsure", Boolean(unsure));
    this.sign.hidden = !unsure;
    if (unsure) this.sign.replaceChildren(el("strong", {}, unsure[0]), " ", el("span", {}, unsure[1]));
    this.seen.setAttribute("aria-label", say("seen_of", { name: this.name, size: facts.size }));
    this.captions[1].textContent = say("seen");
    if (done) fillAnswer(this.bars, answer, facts, shown);
  }

  gone() {
    this.asked += 1;
    super.gone();
  }
}
