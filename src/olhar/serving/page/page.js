// The page: takes pictures in, and shows a card for each.

import { prepareCamera } from "./camera.js";
import { Card } from "./card.js";
import { Cards } from "./cards.js";
import { ask, Refusal } from "./server.js";
import { loadWords } from "./address.js";
import { el, number, percent, say } from "./words.js";

const byId = (id) => document.getElementById(id);

let settings = { models: [], corrections: false, max_bytes: 0 };
let model = null;

const hooks = { model: () => model, settings: () => settings, changed: () => cards.count(), removed: (card) => cards.remove(card) };
const cards = new Cards({
  make: (picture) => new Card(picture, hooks),
  isUnsure: ({ prediction }) => !prediction.sure,
  counted: showLive,
  home: () => byId(byId("by-drawing").hidden ? "choose" : "canvas"),
});

async function start() {
  listen(); // a photo that is dropped early must not replace the page
  try {
    await loadWords("page/texts");
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

function listen() {
  cards.listen();
  cards.listenToSheet();
  prepareCamera((photo) => cards.keep(photo));
  for (const radio of document.querySelectorAll("[name=way]")) {
    radio.addEventListener("change", () => chooseWay(radio.value));
  }
  byId("model").addEventListener("change", changeModel);
  byId("take-along").addEventListener("click", takeAlong);
  for (const link of document.querySelectorAll(".languages a")) link.addEventListener("click", changeLanguage);
}

// Out ----------------------------------------------------------------------------------------

// The answer to what is on the sheet, large and beside it; the card says it to screen readers.
function showLive() {
  const { drawing } = cards;
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
  for (const card of cards.all) card.ask();
}

async function changeLanguage(event) {
  event.preventDefault();
  const chosen = new URL(event.currentTarget.href).searchParams.get("lang");
  await loadWords("page/texts", chosen);
  remember("lang", chosen);
  await loadModels();
  for (const card of cards.all) card.retell();
  cards.count();
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
