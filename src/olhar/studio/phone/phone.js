// The phone's page: choose a class, take photos; each is sent at once, two at a time.

import { address, loadWords } from "./address.js";
import { el, say } from "./words.js";

const AT_ONCE = 2;
const SHOWN = 8; // small pictures of the last ones
const EVERY_MS = 4000; // between two looks at the classes

const at = (id) => document.getElementById(id);

let chosen = null; // the class; "" for none yet
let shown = "";
let going = 0;
const waiting = [];
const total = { given: 0, taken: 0, already: 0, refused: [], lost: [] };
const parts = new Map(); // a photo → how much of it has gone

async function begin() {
  await loadWords();
  for (const id of ["camera", "chooser"]) {
    at(id).addEventListener("change", (event) => {
      give([...event.target.files]);
      event.target.value = ""; // the same photo may be given again
    });
  }
  await look();
  setInterval(() => { if (!document.hidden) look(); }, EVERY_MS);
}

function tell(text) {
  at("message").textContent = text ?? "";
  at("message").hidden = !text;
}

async function look() {
  let answer;
  try {
    answer = await fetch(address("api/classes"), { cache: "no-store" });
  } catch {
    tell(say("no_answer"));
    return;
  }
  if (!answer.ok) {
    tell(say("closed"));
    return;
  }
  const found = await answer.json();
  const gone = chosen && !found.classes.some(({ name }) => name === chosen);
  tell(gone ? say("gone", { name: chosen }) : null);
  if (gone) chosen = null;
  at("project").textContent = found.project;
  const key = JSON.stringify([found.classes, chosen]);
  if (key === shown) return;
  shown = key;
  if (!found.classes.length && chosen === null) chosen = "";
  const focused = document.activeElement?.name === "class" ? document.activeElement.value : null;
  const chips = found.classes.map(({ name, count }) => chip(name, name, count));
  at("classes").replaceChildren(...chips, chip("", say("later")));
  if (focused !== null) [...document.getElementsByName("class")].find((one) => one.value === focused)?.focus();
  ready();
}

function chip(value, text, count) {
  const input = el("input", { type: "radio", name: "class", value });
  input.checked = chosen === value;
  input.addEventListener("change", () => { chosen = value; ready(); });
  const words = el("span", {}, el("bdi", {}, text));
  if (count !== undefined) words.append(el("small", {}, String(count)));
  return el("label", { class: value === "" ? "chip later" : "chip" }, input, words);
}

function ready() {
  for (const id of ["camera", "chooser"]) at(id).disabled = chosen === null;
  at("hint").textContent = say(chosen === null ? "choose_first" : "lead");
}

function give(files) {
  for (const file of files) {
    total.given += 1;
    waiting.push({ file, home: chosen, picture: picture(file) });
  }
  next();
}

function picture(file) {
  const place = URL.createObjectURL(file);
  const image = el("img", { src: place, alt: "" });
  image.addEventListener("error", () => image.remove());
  const item = el("li", {}, image);
  at("strip").prepend(item);
  while (at("strip").children.length > SHOWN) {
    URL.revokeObjectURL(at("strip").lastChild.firstChild?.src);
    at("strip").lastChild.remove();
  }
  return item;
}

function next() {
  while (going < AT_ONCE && waiting.length) {
    going += 1;
    send(waiting.shift());
  }
  show();
}

// fetch tells nothing of how much has gone; XMLHttpRequest does.
function send(one) {
  const request = new XMLHttpRequest();
  const values = { name: one.file.name, ...(one.home ? { class: one.home } : {}) };
  request.open("POST", address("api/photos", values));
  request.setRequestHeader("X-Olhar", "phone");
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.upload.addEventListener("progress", ({ loaded, total: all }) => { parts.set(one, all ? loaded / all : 0); show(); });
  request.addEventListener("loadend", () => {
    parts.delete(one);
    going -= 1;
    settle(one, request);
    next();
  });
  parts.set(one, 0);
  request.send(one.file);
}

function settle(one, request) {
  let found = null;
  try {
    found = JSON.parse(request.responseText);
  } catch { /* no answer of the studio's */ }
  if (request.status === 200 && found) {
    total.taken += found.taken.length;
    total.already += found.already.length;
    total.refused.push(...found.refused);
    one.picture.classList.toggle("there", !found.refused.length);
    if (found.refused.length) one.picture.remove();
    else look();
  } else if (found?.message) {
    total.refused.push({ name: one.file.name, reason: found.message });
    one.picture.remove();
  } else {
    total.lost.push(one);
    look();
  }
}

function show() {
  const sending = going + waiting.length;
  const there = total.taken + total.already;
  const settled = total.given - sending;
  at("sent").hidden = !total.given;
  at("sent-count").textContent = sending ? say("on_the_way", { done: there, total: total.given }) : there === 1 ? say("there_one") : say("there", { n: there });
  at("bar").hidden = !sending;
  at("bar").max = total.given || 1;
  at("bar").value = settled + [...parts.values()].reduce((sum, part) => sum + part, 0);
  const troubles = [];
  if (total.lost.length) {
    const again = el("button", { type: "button", class: "button" }, say("again"));
    again.addEventListener("click", () => { waiting.push(...total.lost.splice(0)); next(); });
    troubles.push(el("div", { class: "trouble" }, el("p", {}, say("lost", { n: total.lost.length })), again));
  }
  if (total.refused.length) {
    const rows = total.refused.map(({ name, reason }) => el("li", {}, el("b", {}, name), `: ${reason}`));
    troubles.push(el("div", { class: "trouble" }, el("p", {}, say("refused", { n: total.refused.length })), el("ul", {}, ...rows)));
  }
  if (total.already) troubles.push(el("p", { class: "quiet small" }, say("already", { n: total.already })));
  at("troubles").replaceChildren(...troubles);
}

begin();
