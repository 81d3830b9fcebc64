// A sheet to draw a digit on, by mouse, finger, pen or keyboard. It keeps the path of the pen, not pixels.

import { announce, say } from "./words.js";

const SIDE = 300; // the sheet's own units
const PEN = 0.06; // of a side
const STEP = 10;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Sheet {
  // `changed(strokes)` is called whenever a stroke ends or is taken back, `moved(strokes)` while it grows.
  // `width` of the pen, of a side.
  constructor(canvas, changed, moved = () => {}, width = PEN) {
    this.canvas = canvas;
    this.width = width;
    this.changed = changed;
    this.moved = moved;
    this.strokes = [];
    this.stroke = null;
    this.pen = [SIDE / 2, SIDE / 4];
    this.byKeys = false;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => this.end());
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => { this.byKeys = false; this.end(); });
    new ResizeObserver(() => this.fit()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  begin(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.byKeys = false;
    this.stroke = [this.place(event)];
    this.strokes.push(this.stroke);
    this.paint();
  }

  go(event) {
    if (!this.stroke || this.byKeys) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) this.stroke.push(this.place(one));
    this.paint();
    this.moved(this.strokes);
  }

  end() {
    if (!this.stroke) return;
    this.stroke = null;
    this.paint();
    this.changed(this.strokes);
  }

  key(event) {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const step = event.shiftKey ? 3 * STEP : STEP;
      this.byKeys = true;
      const edge = SIDE * this.width;
      this.pen = this.pen.map((at, axis) => Math.min(SIDE - edge, Math.max(edge, at + step * arrow[axis])));
      this.stroke?.push([...this.pen]);
    } else if (event.key === " ") {
      this.byKeys = true;
      if (this.stroke) {
        this.end();
        announce(say("pen_up"));
      } else {
        this.stroke = [[...this.pen]];
        this.strokes.push(this.stroke);
        announce(say("pen_down"));
      }
    } else if (event.key === "Backspace") {
      this.undo();
    } else {
      return;
    }
    event.preventDefault();
    this.paint();
  }

  undo() {
    this.stroke = null;
    if (this.strokes.pop()) this.changed(this.strokes);
    this.paint();
  }

  clear() {
    this.strokes = [];
    this.stroke = null;
    this.paint();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = SIDE / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale].map((at) => Math.round(at * 10) / 10);
  }

  fit() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (!side) return;
    this.canvas.width = side;
    this.canvas.height = side;
    this.paint();
  }

  paint() {
    const brush = this.canvas.getContext("2d");
    const style = getComputedStyle(this.canvas);
    brush.clearRect(0, 0, this.canvas.width, this.canvas.height);
    strokeAll(brush, this.strokes, this.canvas.width, this.width, style.color);
    if (this.byKeys) {
      brush.beginPath();
      brush.arc(...this.pen, SIDE * this.width / 2 + 4, 0, 2 * Math.PI);
      brush.lineWidth = 2;
      brush.strokeStyle = style.getPropertyValue("--accent");
      brush.stroke();
    }
    brush.resetTransform();
  }
}

// The strokes on a square canvas of `side` pixels; the brush then counts in the sheet's own units.
export function strokeAll(brush, strokes, side, width, colour) {
  brush.setTransform(side / SIDE, 0, 0, side / SIDE, 0, 0);
  brush.lineCap = brush.lineJoin = "round";
  brush.lineWidth = SIDE * width;
  brush.strokeStyle = colour;
  for (const [first, ...rest] of strokes) {
    brush.beginPath();
    brush.moveTo(...first);
    brush.lineTo(...first);
    for (const point of rest) brush.lineTo(...point);
    brush.stroke();
  }
}

// The strokes as a picture that follows the page's colours.
export function drawn(strokes) {
  const make = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const picture = make("svg", { class: "shot", viewBox: `0 0 ${SIDE} ${SIDE}`, role: "img" });
  const path = strokes.map((stroke) => `M${stroke[0].join()} L${stroke.map((point) => point.join()).join(" ")}`);
  picture.append(make("path", { d: path.join(" "), "stroke-width": SIDE * PEN }));
  return picture;
}
