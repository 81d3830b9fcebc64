// What each card of a picture has, whoever answers: the picture, what the network sees of it, the answer.

import { drawn } from "./draw.js";
import { announce, el, percent, say } from "./words.js";

let count = 0;

export class PictureCard {
  // picture: { name, photo } of a file, or { name, strokes } of a drawing, which may change.
  // hooks: changed(), removed(card), and what the kind of card needs. A kind has shown(label) and ask().
  constructor(picture, hooks) {
    Object.assign(this, picture, { hooks, id: (count += 1), state: "working" });
    this.build();
    if (!this.photo) return;
    this.url = URL.createObjectURL(this.photo);
    this.preview.src = this.url;
  }

  // seen: what shows the picture as the network sees it; over: what lies on that; below: what follows the bars.
  build(seen, over = [], below = []) {
    const id = `card-${this.id}`;
    this.seen = seen;
    this.title = el("h3", { id, class: "label", tabindex: "-1" });
    this.file = el("p", { class: "file quiet" });
    this.sign = el("p", { class: "sign" });
    this.bars = el("ol", { class: "bars" });
    this.preview = this.strokes ? drawn(this.strokes) : el("img", { class: "shot" });
    this.captions = [el("figcaption"), el("figcaption")];
    this.remove = el("button", { type: "button", class: "close" }, "×");
    this.pictures = el("div", { class: "pictures" },
      el("figure", {}, el("span", { class: "frame" }, this.preview), this.captions[0]),
      el("figure", {}, el("span", { class: "frame" }, seen, ...over), this.captions[1]));
    this.side = el("div", { class: "answer" }, this.title, this.sign, this.bars, ...below);
    this.element = el("li", { class: "card panel", "aria-labelledby": id, "aria-busy": "true" },
      el("div", { class: "head" }, this.file, this.remove), this.pictures, this.side);
    this.remove.addEventListener("click", () => this.hooks.removed(this));
    // A picture that the browser cannot show, such as TIFF, is shown as the network sees it.
    this.preview.addEventListener("error", () => this.element.classList.add("unseen"));
  }

  redraw() {
    const sheet = drawn(this.strokes);
    sheet.setAttribute("aria-label", this.name);
    this.preview.replaceWith(sheet);
    this.preview = sheet;
  }

  turn(state) {
    this.state = state;
    this.draw();
    this.hooks.changed();
  }

  // All texts again: the state or the language has changed.
  draw() {
    this.element.dataset.state = this.state;
    this.element.setAttribute("aria-busy", String(this.state !== "done" && this.state !== "failed"));
    this.file.textContent = this.name;
    this.remove.setAttribute("aria-label", say("remove", { name: this.name }));
    if (this.strokes) this.preview.setAttribute("aria-label", this.name);
    else this.preview.alt = this.name;
    this.captions[0].textContent = say("picture");
    this.bars.hidden = this.state !== "done";
  }

  tell({ label, probability, sure, outlier }) {
    const values = { name: this.name, label: this.shown(label), share: percent(probability) };
    announce(say(outlier ? "said_outlier" : sure ? "said" : "said_unsure", values));
  }

  tellFailed(reason) {
    announce(say("said_failed", { name: this.name, reason }));
  }

  gone() {
    URL.revokeObjectURL(this.url);
    this.element.remove();
  }
}
