// The camera, with an answer for what it sees now; a picture can be kept.

import { NotRead } from "./notread.js";
import { say } from "./words.js";

const byId = (id) => document.getElementById(id);

export class Camera {
  // hooks: look({ bitmap }), show(answer or null), keep(blob)
  constructor(hooks) {
    this.hooks = hooks;
    this.stream = null;
    this.back = true;
    byId("start-camera").addEventListener("click", () => (this.stream ? this.stop() : this.start()));
    byId("shoot").addEventListener("click", () => this.shoot());
    byId("other-camera").addEventListener("click", () => {
      this.back = !this.back;
      this.stop();
      this.start();
    });
    document.addEventListener("visibilitychange", () => document.hidden && this.stop());
    this.draw();
  }

  async start() {
    byId("camera-trouble").hidden = true;
    const problem = await this.open();
    if (problem) this.complain(problem);
    this.draw();
    if (this.stream) this.watch(this.stream);
  }

  // The name of the text that says why it does not open, if it does not.
  async open() {
    if (!navigator.mediaDevices?.getUserMedia) return "camera_unsafe"; // only under https, on localhost, or from a file
    try {
      const wish = { width: { ideal: 1280 }, facingMode: this.back ? "environment" : "user" };
      this.stream = await navigator.mediaDevices.getUserMedia({ video: wish, audio: false });
      byId("video").srcObject = this.stream;
      await byId("video").play();
      const { videoWidth, videoHeight } = byId("video");
      byId("video").parentElement.style.setProperty("--ratio", videoWidth / videoHeight);
      const { facingMode } = this.stream.getVideoTracks()[0].getSettings();
      byId("video").parentElement.classList.toggle("mirrored", facingMode === "user");
      const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
      byId("other-camera").hidden = cameras.length < 2;
      return null;
    } catch (error) {
      this.stop();
      return { NotFoundError: "camera_none", NotReadableError: "camera_busy" }[error.name] ?? "camera_refused";
    }
  }

  // Frame after frame, each when the answer to the last is there.
  async watch(stream) {
    while (this.stream === stream) {
      try {
        const bitmap = await createImageBitmap(byId("video"));
        const answer = await this.hooks.look({ bitmap });
        if (this.stream === stream) this.hooks.show(answer);
      } catch (error) {
        if (!(error instanceof NotRead)) throw error;
        this.stop();
        this.complain(`failed_${error.code}`, error.values);
      }
      await new Promise((next) => setTimeout(next, 60));
    }
  }

  complain(name, values = {}) {
    byId("camera-trouble").textContent = say(name, values);
    byId("camera-trouble").hidden = false;
    this.problem = [name, values]; // said again in the other language
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    byId("video").srcObject = null;
    byId("other-camera").hidden = true;
    this.hooks.show(null);
    this.draw();
  }

  draw() {
    const on = Boolean(this.stream);
    byId("start-camera").textContent = say(on ? "stop_camera" : "start_camera");
    byId("start-camera").classList.toggle("main", !on);
    byId("shoot").classList.toggle("main", on);
    byId("shoot").hidden = !on;
    byId("video").parentElement.classList.toggle("on", on);
    byId("camera-hint").hidden = on;
    if (this.problem && !byId("camera-trouble").hidden) byId("camera-trouble").textContent = say(...this.problem);
    byId("frame").hidden = !on || byId("frame").dataset.used !== "true";
  }

  shoot() {
    const video = byId("video");
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => this.hooks.keep(blob), "image/png");
  }
}
