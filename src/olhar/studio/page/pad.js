// A pad to draw on, by mouse, finger, pen or keyboard.

import { announce, el, say } from "./words.js";

const SIDE = 280; // of the pad's own units and of the picture
const PEN = 20;
const STEP = 10;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pad {
  // `changed()` is called whenever a stroke ends.
  constructor(changed) {
    this.changed = changed;
    this.strokes = [];
    this.stroke = null;
    this.inks = ["#fff", "#000"]; // of the pen and of the pad
    this.pen = [SIDE / 2, SIDE / 4];
    this.canvas = el("canvas", { width: SIDE, height: SIDE, tabindex: 0, role: "img", "aria-label": say("pad"), "aria-describedby": "pad-keys" });
    this.element = el("div", { class: "pad", hidden: true }, this.canvas, el("p", { class: "quiet small", id: "pad-keys" }, say("pad_keys")));
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.begin(this.place(event));
    });
    this.canvas.addEventListener("pointermove", (event) => { if (this.stroke && this.canvas.hasPointerCapture(event.pointerId)) this.go(this.place(event)); });
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => this.end());
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.paint();
  }

  begin(point) {
    this.stroke = [point];
    this.strokes.push(this.stroke);
    this.paint();
  }

  go(point) {
    this.stroke.push(point);
    this.paint();
  }

  end() {
    if (!this.stroke) return;
    this.stroke = null;
    this.changed();
  }

  key(event) {
    const arrow = ARROWS[event.key];
    if (arrow) {
      this.pen = this.pen.map((at, axis) => Math.min(SIDE - PEN, Math.max(PEN, at + (event.shiftKey ? 3 : 1) * STEP * arrow[axis])));
      if (this.stroke) this.go([...this.pen]);
      else this.paint(true);
    } else if (event.key === " ") {
      announce(this.stroke ? say("pen_up") : say("pen_down"));
      if (this.stroke) this.end();
      else this.begin([...this.pen]);
    } else return;
    event.preventDefault();
  }

  clear() {
    this.strokes = [];
    this.stroke = null;
    this.paint();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * SIDE / box.width, (event.clientY - box.top) * SIDE / box.height];
  }

  paint(withPen = false) {
    const brush = this.canvas.getContext("2d");
    brush.fillStyle = this.inks[1];
    brush.fillRect(0, 0, SIDE, SIDE);
    brush.strokeStyle = this.inks[0];
    brush.lineWidth = PEN;
    brush.lineCap = brush.lineJoin = "round";
    for (const [first, ...rest] of this.strokes) {
      brush.beginPath();
      brush.moveTo(...first);
      brush.lineTo(...first);
      for (const point of rest) brush.lineTo(...point);
      brush.stroke();
    }
    if (!withPen) return;
    brush.beginPath();
    brush.arc(...this.pen, PEN / 2, 0, 2 * Math.PI);
    brush.lineWidth = 2;
    brush.stroke();
  }

  // White on black, as the digits of the known collections are, or black on white.
  swap() {
    this.inks.reverse();
    this.paint();
    if (this.strokes.length) this.changed();
  }

  picture() {
    this.paint();
    return new Promise((done) => this.canvas.toBlob(done, "image/png"));
  }
}
