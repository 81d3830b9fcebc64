// The page: takes pictures in, and shows a card for each.

import { prepareCamera } from "./camera.js";
import { Card } from "./card.js";
import { Sheet } from "./draw.js";
import { ask, Refusal } from "./server.js";
import { loadWords } from "./texts.js";
import { announce, el, number, percent, say } from "./words.js";

const byId = (id) => document.getElementById(id);
const cards = new Set();
const taken = { camera: 0, pasted: 0, drawings: 0 };

let settings = { models: [], corrections: false, max_bytes: 0 };
let model = null;
let sheet = null;
let drawing = null; // the card of what is on the sheet

const hooks = { model: () => model, settings: () => settings, changed: count, removed: (card) => remove(card) };

async function start() {
  listen(); // a photo that is dropped early must not replace the page
  try {
    await loadWords();
    await loadModels();
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof TypeError)) throw error;
    byId("trouble").textContent = error.message;
    byId("trouble").hidden = false;
  }
  document.body.classList.remove("waiting");
}

async function loadModels() {
  settings = await (await ask("page/models", {})).json();
  for (const one of settings.models) one.shown = new Map(one.classes.map(({ label, shown }) => [label, shown]));
  byId("choose-model").hidden = settings.models.length < 2;
  byId("model").replaceChildren(...settings.models.map(({ name }) => el("option", { value: name }, name)));
  const wanted = model?.name ?? new URLSearchParams(location.search).get("model");
  const before = model;
  model = settings.models.find(({ name }) => name === wanted) ?? settings.models[0];
  byId("model").value = model.name;
  describeModel();
  if (!before) chooseWay(model.draws ? "draw" : "photos");
}

function describeModel() {
  const { network, data, size, classes } = model;
  byId("question").textContent = say(model.draws ? "digit_question" : "question");
  byId("about").textContent = say("about", { network, data, size, n: number(classes.length) });
  byId("ways").hidden = !model.draws;
  byId("along").hidden = !model.web;
}

function chooseWay(way) {
  document.querySelector(`[name=way][value=${way}]`).checked = true;
  byId("by-drawing").hidden = way !== "draw";
  byId("by-photos").hidden = way === "draw";
}

// In -----------------------------------------------------------------------------------------

function add(pictures, { scroll = true } = {}) {
  const added = pictures.map((picture) => new Card(picture, hooks));
  for (const card of added) cards.add(card);
  byId("answers").hidden = false;
  byId("cards").prepend(...added.map((card) => card.element));
  for (const card of added) card.ask();
  if (scroll && added.length && byId("cards").getBoundingClientRect().top > 0.6 * innerHeight) {
    byId("answers").scrollIntoView({ block: "start" });
  }
  return added;
}

function addFiles(files) {
  if (files.length) add(files.map((photo) => ({ name: photo.name, photo })));
  else announce(say("no_photos"));
}

function remove(card) {
  const next = (card.element.nextElementSibling ?? card.element.previousElementSibling)?.querySelector(".close");
  card.gone();
  cards.delete(card);
  if (card === drawing) drawing = null;
  count();
  (next ?? (byId("by-drawing").hidden ? byId("choose") : byId("canvas"))).focus();
}

// What was dropped, folders opened, without what systems hide in them.
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const files = [];
  for (const entry of entries) await walk(entry, files);
  return files;
}

async function walk(entry, files) {
  if (entry.name.startsWith(".") || entry.name === "__MACOSX") return;
  if (entry.isFile) {
    files.push(await new Promise((done, failed) => entry.file(done, failed)));
    return;
  }
  const reader = entry.createReader(); // gives at most 100 at a time
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const one of some) await walk(one, files);
  }
}

function listen() {
  byId("choose").addEventListener("click", () => byId("files").click());
  for (const id of ["files", "phone-camera"]) {
    byId(id).addEventListener("change", () => {
      addFiles([...byId(id).files]);
      byId(id).value = ""; // the same file may be chosen again
    });
  }
  prepareCamera((photo) => add([{ name: say("camera_photo", { n: (taken.camera += 1) }), photo }]));
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (event.target.matches("input, select") || !files.length) return;
    event.preventDefault();
    const named = (photo) => (photo.name && photo.name !== "image.png" ? photo.name : say("pasted", { n: (taken.pasted += 1) }));
    add(files.map((photo) => ({ name: named(photo), photo })));
  });
  listenToDrops();
  listenToSheet();
  for (const radio of document.querySelectorAll("[name=way]")) {
    radio.addEventListener("change", () => chooseWay(radio.value));
  }
  byId("clear").addEventListener("click", () => { for (const card of cards) remove(card); });
  byId("model").addEventListener("change", changeModel);
  byId("take-along").addEventListener("click", takeAlong);
  for (const link of document.querySelectorAll(".languages a")) link.addEventListener("click", changeLanguage);
}

function listenToDrops() {
  let over = 0; // dragenter comes once for every element on the way
  const veil = (open) => { byId("veil").hidden = !open; if (!open) over = 0; };
  document.addEventListener("dragenter", () => { over += 1; veil(true); });
  document.addEventListener("dragleave", () => { over -= 1; if (over <= 0) veil(false); });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    veil(false);
    addFiles(await dropped(event.dataTransfer));
  });
}

function listenToSheet() {
  sheet = new Sheet(byId("canvas"), (strokes) => {
    if (!strokes.length) {
      if (drawing) remove(drawing);
    } else if (drawing) {
      drawing.strokes = [...strokes];
      drawing.ask();
    } else {
      const picture = { name: say("drawing", { n: (taken.drawings += 1) }), strokes: [...strokes] };
      [drawing] = add([picture], { scroll: false });
    }
  });
  byId("undo").addEventListener("click", () => sheet.undo());
  byId("new-drawing").addEventListener("click", () => {
    sheet.clear();
    drawing = null;
    count();
    byId("canvas").focus();
  });
}

// Out ----------------------------------------------------------------------------------------

function count() {
  const all = [...cards];
  const unsure = all.filter(({ state, prediction }) => state === "done" && !prediction.sure).length;
  const failed = all.filter(({ state }) => state === "failed").length;
  const parts = [say(all.length === 1 ? "one_photo" : "some_photos", { n: number(all.length) })];
  if (unsure) parts.push(say("some_unsure", { n: number(unsure) }));
  if (failed) parts.push(say("some_failed", { n: number(failed) }));
  byId("count").textContent = parts.join(" · ");
  byId("answers").hidden = !all.length;
  byId("clear").hidden = all.length < 2;
  showLive();
}

// The answer to what is on the sheet, large and beside it; the card says it to screen readers.
function showLive() {
  const said = drawing?.state === "done" ? drawing.prediction : null;
  byId("live").hidden = !said;
  if (!said) return;
  byId("live").replaceChildren(el("strong", {}, drawing.shown(said.label)),
    el("span", {}, said.sure ? percent(said.probability) : `${say("not_sure")} · ${percent(said.probability)}`));
}

function changeModel() {
  model = settings.models.find(({ name }) => name === byId("model").value);
  remember("model", model.name);
  describeModel();
  chooseWay(model.draws ? "draw" : "photos");
  for (const card of cards) card.ask();
}

async function changeLanguage(event) {
  event.preventDefault();
  const chosen = new URL(event.currentTarget.href).searchParams.get("lang");
  await loadWords(chosen);
  remember("lang", chosen);
  await loadModels();
  for (const card of cards) card.retell();
  count();
}

// The model as one HTML file, which works without this server.
async function takeAlong() {
  const button = byId("take-along");
  const { name } = model;
  button.disabled = true;
  button.textContent = say("making_file");
  byId("trouble").hidden = true;
  try {
    const file = await (await ask("web", { model: name })).blob();
    const link = el("a", { href: URL.createObjectURL(file), download: `${name}.html` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    byId("trouble").textContent = error.message;
    byId("trouble").hidden = false;
  } finally {
    button.disabled = false;
    button.textContent = say("take_along");
  }
}

function remember(name, value) {
  const here = new URL(location.href);
  here.searchParams.set(name, value);
  history.replaceState(null, "", here);
}

await start();
