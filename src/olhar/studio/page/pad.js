// A pad to draw on, in white on black or black on white; what is drawn becomes a picture.

import { Sheet, strokeAll } from "./draw.js";
import { el, say } from "./words.js";

const SIDE = 280; // of the picture, in pixels
const PEN = 20 / SIDE; // of a side

export class Pad {
  // `changed()` is called whenever a stroke ends, `emptied()` when the last one is taken back.
  constructor(changed, emptied) {
    this.changed = changed;
    this.inks = ["#fff", "#000"]; // of the pen and of the pad
    this.canvas = el("canvas", { tabindex: 0, role: "img", "aria-label": say("pad"), "aria-describedby": "pad-keys" });
    this.element = el("div", { class: "pad", hidden: true }, this.canvas, el("p", { class: "quiet small", id: "pad-keys" }, say("pad_keys")));
    this.sheet = new Sheet(this.canvas, (strokes) => (strokes.length ? changed() : emptied()), undefined, PEN);
    this.dip();
  }

  clear() {
    this.sheet.clear();
  }

  // White on black, as the digits of the known collections are, or black on white.
  swap() {
    this.inks.reverse();
    this.dip();
    if (this.sheet.strokes.length) this.changed();
  }

  dip() {
    [this.canvas.style.color, this.canvas.style.background] = this.inks;
    this.sheet.paint();
  }

  picture() {
    const canvas = el("canvas", { width: SIDE, height: SIDE });
    const brush = canvas.getContext("2d");
    brush.fillStyle = this.inks[1];
    brush.fillRect(0, 0, SIDE, SIDE);
    strokeAll(brush, this.sheet.strokes, SIDE, PEN, this.inks[0]);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  }
}
