// Photos without a class, one after the other: the model's proposal, and the keys that answer.

import { Fresh, trayPhotos } from "./photos.js";
import { button, photoCount, wholePercent } from "./pieces.js";
import { now, photoAddress } from "./server.js";
import { deletePhotos, movePhotos } from "./toast.js";
import { el, number, say } from "./words.js";

const SURE = 0.9; // from here an answer would hardly teach the model anything
const place = document.getElementById("tray");
let photos = [];
let worth = null;
const answered = new Set();
const fresh = new Fresh(load);

export function showTray(state) {
  place.hidden = !state.tray.count;
  if (!state.tray.count) {
    photos = [];
    answered.clear();
    return;
  }
  fresh.want(JSON.stringify([state.tray.version, state.tray.count, state.classes.map(({ name }) => name), state.models[0]?.run]));
}

async function load() {
  const found = await trayPhotos();
  photos = found.photos.filter(({ file }) => !answered.has(file));
  worth = found.worth ?? null;
  draw();
}

const proposals = () => photos.filter(({ proposal }) => proposal);

function draw() {
  const photo = photos[0];
  if (!photo) {
    place.hidden = true;
    return;
  }
  const focused = place.contains(document.activeElement);
  const names = now().classes.map(({ name }) => name);
  const { proposal } = photo;
  const answers = names.map((name, i) => button("", `button${proposal?.class === name ? " main" : ""}`, () => answer(name)));
  answers.forEach((one, i) => one.append(i < 9 ? el("kbd", { "aria-hidden": "true" }, String(i + 1)) : "", names[i]));
  const ask = proposal ? say("perhaps", { name: proposal.class, share: wholePercent(proposal.probability) }) : say("which_class");
  place.replaceChildren(
    el("div", { class: "row" }, el("h2", {}, say("tray")), el("span", { class: "quiet small" }, photoCount(photos.length))),
    el("div", { class: "question" },
      el("img", { src: photoAddress(photo.file, 480), alt: photo.name }),
      el("div", {},
        el("p", { class: "ask" }, ask),
        names.length ? el("div", { class: "buttons" }, ...answers) : el("p", { class: "quiet" }, say("tray_no_classes")),
        el("div", { class: "buttons small" },
          button(say("later"), "link", later), button(say("leave_out"), "link", () => answer(null))),
        el("p", { class: "quiet small" }, names.length ? say(proposal ? "tray_keys_proposed" : "tray_keys") : ""),
        ...worthwhile())));
  if (focused) (place.querySelector(".main") ?? place.querySelector("button"))?.focus();
  if (photos[1]) new Image().src = photoAddress(photos[1].file, 480);
}

// How many answers are likely still worth giving, and the others at one press.
function worthwhile() {
  if (!proposals().length) return [];
  const sure = photos.filter(({ proposal }) => proposal && proposal.probability >= SURE);
  const n = worth ?? photos.length - sure.length;
  const text = n ? say("worth", { n: number(n) }) : say("worth_none");
  const take = sure.length ? button(sure.length === 1 ? say("take_sure_one") : say("take_sure", { n: number(sure.length) }), "link", () => takeAll(sure)) : null;
  return [el("p", { class: "small worth" }, text, " ", take)];
}

function drop(files) {
  const gone = new Set(files);
  for (const file of files) answered.add(file);
  photos = photos.filter(({ file }) => !gone.has(file));
  draw();
}

async function answer(name) {
  const [photo] = photos;
  drop([photo.file]);
  const done = name === null ? await deletePhotos([photo.file]) : await movePhotos([photo.file], name);
  answered.delete(photo.file); // by now the server's list says it, or it may be asked again after Undo
  if (!done) load();
}

function later() {
  photos.push(photos.shift());
  draw();
}

async function takeAll(sure) {
  const byClass = grouped(sure);
  drop(sure.map(({ file }) => file));
  for (const [name, some] of byClass) await movePhotos(some.map(({ file }) => file), name);
  for (const { file } of sure) answered.delete(file);
}

function grouped(sure) {
  const groups = new Map();
  for (const one of sure) groups.set(one.proposal.class, [...(groups.get(one.proposal.class) ?? []), one]);
  return groups;
}

// Whether the key was an answer.
export function trayKey(event) {
  if (place.hidden || !photos.length || event.repeat) return false;
  const names = now().classes.map(({ name }) => name);
  const at = Number(event.key) - 1;
  if (/^[1-9]$/.test(event.key) && names[at]) answer(names[at]);
  else if (event.key === "Enter" && photos[0].proposal && event.target.tagName !== "BUTTON") answer(photos[0].proposal.class);
  else return false;
  return true;
}
