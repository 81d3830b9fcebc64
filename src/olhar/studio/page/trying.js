// The third step: the camera, photos or a drawing, and what the model says of them.

import { Answer } from "./answer.js";
import { closeCamera, frame, openCamera, usable } from "./camera.js";
import { measuredPart } from "./measured.js";
import { modelChooser } from "./models.js";
import { Pad } from "./pad.js";
import { button } from "./pieces.js";
import { follow, now } from "./server.js";
import { attempt } from "./toast.js";
import { el, say } from "./words.js";

const SIDE = 224; // what the networks see
const place = document.getElementById("step-try");
const parts = {};
let model = null;
let way = "camera";
let live = 0; // which round of the camera is going on
let subject = null; // what is shown: a Blob
let url = "";

export function prepareTry() {
  parts.chooser = modelChooser(() => show(now()));
  parts.none = el("div", { class: "panel nothing", hidden: true }, el("h2", {}, say("no_model")), el("p", { class: "quiet" }, say("no_model_hint")),
    button(say("to_train"), "button main", () => { location.hash = "train"; }));
  parts.ways = el("fieldset", { class: "switch" }, el("legend", { class: "hidden" }, say("way")),
    ...Object.entries({ camera: say("camera"), photos: say("tab_photos"), draw: say("draw") }).map(([name, text]) => {
      const input = el("input", { type: "radio", name: "way", value: name });
      input.addEventListener("change", () => { if (input.checked) choose(name); });
      return el("label", {}, input, el("span", {}, text));
    }));
  parts.video = el("video", { playsinline: true, "aria-label": say("camera") });
  parts.video.muted = true;
  parts.picture = el("img", { class: "subject", alt: say("your_photo"), hidden: true });
  parts.heat = el("img", { class: "heat", alt: say("heat_alt"), hidden: true });
  parts.pad = new Pad(async () => see(await parts.pad.picture()), forget);
  parts.zone = el("div", { class: "zone" }, el("p", { class: "quiet can-drop" }, say("try_drop")), button(say("choose"), "button main", choosePhotos));
  parts.trouble = el("p", { class: "notice", role: "alert", hidden: true });
  parts.screen = el("div", { class: "screen" }, parts.video, parts.picture, parts.heat, parts.pad.element, parts.zone);
  parts.strip = el("ul", { class: "strip" });
  parts.start = button(say("start_camera"), "button main", startCamera);
  parts.another = button(say("choose"), "button", choosePhotos);
  parts.clear = button(say("new_drawing"), "button", () => { parts.pad.clear(); forget(); });
  parts.swap = button(say("swap_inks"), "button", () => parts.pad.swap());
  parts.answer = new Answer({ look: lookWhere });
  parts.desk = el("div", { class: "desk panel" },
    el("div", { class: "stage-side" }, parts.ways, parts.screen, parts.strip, parts.trouble,
      el("div", { class: "buttons" }, parts.start, parts.another, parts.clear, parts.swap)),
    parts.answer.element);
  parts.measured = measuredPart();
  place.append(el("div", { class: "row heading" }, el("h1", {}, say("try_title")), el("span", { class: "grow" }), parts.chooser.element),
    parts.none, parts.desk, parts.measured.element);
  follow(show);
  if (!usable) way = "photos";
}

function show(state) {
  const before = model?.run;
  model = parts.chooser.show(state);
  parts.none.hidden = Boolean(model);
  parts.desk.hidden = parts.measured.element.hidden = !model;
  if (!model) return;
  parts.ways.querySelector('[value="draw"]').parentElement.hidden = !model.draws;
  if (way === "draw" && !model.draws) way = "camera";
  if (before !== model.run) {
    parts.answer.forget();
    if (!place.hidden) arrive();
  }
  parts.measured.show(model, !place.hidden);
}

// The tab is shown.
export function arrive() {
  if (!model) return;
  parts.ways.querySelector(`[value="${way}"]`).checked = true;
  layOut();
  parts.measured.show(model, true);
  if (subject && way !== "camera") see(subject);
}

// Another tab is shown.
export function leave() {
  live += 1;
  closeCamera(parts.video);
  layOut();
}

function choose(name) {
  way = name;
  forget();
  live += 1;
  closeCamera(parts.video);
  layOut();
}

function forget() {
  subject = null;
  parts.heat.hidden = parts.picture.hidden = true;
  parts.screen.classList.remove("explained");
  parts.trouble.hidden = true;
  parts.strip.replaceChildren();
  parts.answer.forget();
  layOut();
}

function layOut() {
  const on = Boolean(parts.video.srcObject);
  parts.screen.dataset.way = way;
  if (!on) parts.screen.style.aspectRatio = "";
  parts.video.hidden = way !== "camera" || !parts.picture.hidden;
  parts.start.hidden = way !== "camera" || on;
  parts.start.textContent = subject ? say("camera_again") : say("start_camera");
  parts.zone.hidden = way !== "photos" || Boolean(subject);
  parts.another.hidden = way !== "photos" || !subject;
  parts.pad.element.hidden = parts.clear.hidden = parts.swap.hidden = way !== "draw";
}

async function startCamera() {
  forget();
  const mine = ++live;
  const trouble = usable ? await openCamera(parts.video, () => { live += 1; layOut(); }) : say("no_camera_here");
  if (trouble) {
    parts.trouble.textContent = trouble;
    parts.trouble.hidden = false;
    return;
  }
  layOut();
  while (mine === live) {
    const photo = await frame(parts.video, SIDE, 0.85);
    if (mine !== live) return;
    if (!photo || document.hidden) {
      await new Promise((go) => setTimeout(go, 100));
      continue;
    }
    const done = await parts.answer.ask(photo, model, { live: true });
    if (!done) await new Promise((go) => setTimeout(go, 1000));
  }
}

async function see(photo) {
  subject = photo;
  parts.heat.hidden = true;
  parts.screen.classList.remove("explained");
  if (way === "draw") parts.picture.hidden = true;
  else {
    URL.revokeObjectURL(url);
    url = URL.createObjectURL(photo);
    parts.picture.src = url;
    parts.picture.hidden = false;
  }
  layOut();
  await parts.answer.ask(photo, model);
}

function choosePhotos() {
  const input = el("input", { type: "file", accept: "image/*", multiple: true });
  input.addEventListener("change", () => give([...input.files]));
  input.click();
}

function give(files) {
  if (!files.length) return;
  parts.strip.replaceChildren(...(files.length < 2 ? [] : files.map((file) => {
    const picture = el("img", { src: URL.createObjectURL(file), alt: file.name, loading: "lazy" });
    const one = button(picture, "pick", () => {
      for (const other of parts.strip.querySelectorAll("button")) other.removeAttribute("aria-current");
      one.setAttribute("aria-current", "true");
      see(file);
    });
    return el("li", {}, one);
  })));
  parts.strip.querySelector("button")?.setAttribute("aria-current", "true");
  see(files[0]);
}

// Photos that are given while this tab is shown are tried, not kept. Whether they were taken.
export function tryFiles(files) {
  if (place.hidden || !model) return false;
  if (way !== "photos") {
    choose("photos");
    parts.ways.querySelector('[value="photos"]').checked = true;
  }
  give(files.filter((file) => file.type.startsWith("image/") || !file.type));
  return true;
}

// Where does it look: of the camera, the picture of this moment.
async function lookWhere() {
  if (way === "camera" && parts.video.srcObject) {
    const photo = await frame(parts.video, SIDE, 0.92);
    live += 1;
    await see(photo);
    closeCamera(parts.video);
    layOut();
  }
  if (!subject) return;
  await attempt(async () => {
    const found = await parts.answer.explain(subject, model);
    if (found.seen) parts.picture.src = found.seen; // the part of the picture that the network sees
    parts.picture.hidden = false;
    parts.heat.src = found.image;
    parts.heat.hidden = false;
    parts.screen.classList.add("explained");
  });
}
