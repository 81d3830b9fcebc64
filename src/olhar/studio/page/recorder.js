// "Record": while it is held, five photos a second; one recording is one group.

import { cameras, closeCamera, frame, openCamera, turnCamera, usable } from "./camera.js";
import { give } from "./drop.js";
import { button, icon, photoCount } from "./pieces.js";
import { upload } from "./upload.js";
import { announce, el, number, say } from "./words.js";

const EVERY_MS = 200;
const SIDE = 480; // pixels of the shorter side
const BATCH = 5; // photos in a request
const COUNT_FROM = 3;
const HANDS_FREE_MS = 4000;
const DOT = "M12 6a6 6 0 1 0 0 12a6 6 0 1 0 0-12z";
const TURN = "M4 12a8 8 0 0 1 13.700-5.600L20 9M20 4v5h-5M20 12a8 8 0 0 1-13.700 5.600L4 15M4 20v-5h5";

export class Recorder {
  // `name()` is the class that the photos are for.
  constructor(name) {
    this.name = name;
    this.open = this.held = this.recording = this.counting = false;
    this.button = el("button", { type: "button", class: "button record" }, icon(DOT), say("record"));
    this.video = el("video", { playsinline: true, muted: true, "aria-label": say("camera") });
    this.video.muted = true;
    this.over = el("p", { class: "over", hidden: true });
    this.trouble = el("p", { class: "small notice", role: "alert", hidden: true });
    this.countdown = el("input", { type: "checkbox" });
    this.turn = button(icon(TURN), "round", () => this.turnRound(), { "aria-label": say("turn_camera"), title: say("turn_camera"), hidden: true });
    this.view = el("div", { class: "camera", hidden: true },
      el("div", { class: "screen" }, this.video, this.over,
        el("div", { class: "corner-buttons" }, this.turn, button("×", "round", () => this.close(), { "aria-label": say("close_camera") }))),
      el("label", { class: "tick small" }, this.countdown, say("countdown", { n: COUNT_FROM, seconds: HANDS_FREE_MS / 1000 })),
      el("p", { class: "quiet small" }, say("hold")));
    if (usable) this.listen();
    else this.button.addEventListener("click", () => this.byPhone());
  }

  listen() {
    this.button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.button.setPointerCapture(event.pointerId);
      this.press();
    });
    for (const name of ["pointerup", "pointercancel", "blur"]) this.button.addEventListener(name, () => this.release());
    this.button.addEventListener("contextmenu", (event) => event.preventDefault());
    this.button.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault(); // no click after it
      if (!event.repeat) this.press();
    });
    this.button.addEventListener("keyup", () => this.release());
    this.button.addEventListener("click", async (event) => {
      if (event.detail !== 0) return; // of a pointer
      await this.press(); // of a program that helps people
      this.release();
    });
  }

  async press() {
    if (this.counting || (this.recording && !this.held)) {
      this.counting = this.recording = false;
      return;
    }
    this.held = true;
    if (!this.open) {
      await this.start();
      if (!this.open || !this.held) return;
    }
    if (this.countdown.checked) await this.count();
    else await this.record(() => this.held);
  }

  release() {
    this.held = false;
  }

  async start() {
    this.view.hidden = this.open = false;
    this.trouble.hidden = true;
    const trouble = await openCamera(this.video, () => this.close());
    if (trouble) {
      this.close();
      this.trouble.textContent = trouble;
      this.trouble.hidden = false;
      return;
    }
    this.open = !this.view.hidden;
    announce(say("hold"));
    this.turn.hidden = (await cameras()).length < 2;
  }

  close() {
    this.open = this.recording = this.counting = false;
    closeCamera(this.video);
    this.video.srcObject = null;
    this.view.hidden = true;
  }

  async turnRound() {
    const trouble = await turnCamera(this.video);
    if (trouble) {
      this.trouble.textContent = trouble;
      this.trouble.hidden = false;
    }
  }

  async count() {
    this.counting = true;
    for (let n = COUNT_FROM; n > 0 && this.counting; n -= 1) {
      this.show(number(n), "counting");
      announce(number(n));
      await new Promise((go) => setTimeout(go, 1000));
    }
    if (!this.counting) {
      this.over.hidden = true;
      return;
    }
    this.counting = false;
    const end = performance.now() + HANDS_FREE_MS;
    await this.record(() => performance.now() < end);
  }

  // Photos as long as `goesOn()`, at least one.
  async record(goesOn) {
    const name = this.name();
    const burst = `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
    let batch = [];
    let n = 0;
    this.recording = true;
    this.button.classList.add("recording");
    do {
      const due = performance.now() + EVERY_MS;
      const photo = await frame(this.video, SIDE);
      if (photo) {
        n += 1;
        batch.push({ file: new File([photo], `${burst}-${String(n).padStart(3, "0")}.jpg`, { type: photo.type }), class: name, burst });
        this.show(photoCount(n), "recording");
      }
      if (batch.length === BATCH) {
        upload(batch);
        batch = [];
      }
      await new Promise((go) => setTimeout(go, Math.max(0, due - performance.now())));
    } while (this.open && this.recording && (goesOn() || !n));
    this.recording = false;
    this.button.classList.remove("recording");
    this.over.hidden = true;
    upload(batch);
  }

  show(text, kind) {
    this.over.className = `over ${kind}`;
    this.over.textContent = text;
    this.over.hidden = false;
  }

  // Where the browser gives no camera to this page, a phone's own camera takes the photo.
  byPhone() {
    this.trouble.textContent = say("no_camera_here");
    this.trouble.hidden = false;
    const input = el("input", { type: "file", accept: "image/*", capture: "environment" });
    input.addEventListener("change", () => give([...input.files].map((file) => ({ file, folder: "" })), this.name()));
    input.click();
  }
}
