// The page: takes pictures in, and shows a card for each. It talks to nobody: all it needs lies in it.

import { judge, Now } from "./answers.js";
import { Asking } from "./asking.js";
import { Camera } from "./camera.js";
import { Card } from "./card.js";
import { Cards } from "./cards.js";
import { drawSmall } from "./digit.js";
import { NotRead } from "./notread.js";
import { el, number, say, useWords } from "./words.js";

const facts = JSON.parse(document.getElementById("facts").textContent);
const id = (name) => document.getElementById(name);
const asking = new Asking(facts);
const hooks = { facts, shown, look: lookAt, changed: () => cards.count(), removed: (card) => cards.remove(card) };
const cards = new Cards({
  make: (picture) => new Card(picture, hooks),
  isUnsure: ({ answer }) => !answer.sure || answer.outlier,
  counted: showDrawn,
  home: () => id([["by-drawing", "canvas"], ["by-camera", "start-camera"], ["by-photos", "choose"]].find(([way]) => !id(way).hidden)[1]),
});

let language = "en";
let camera = null;
let drawnNow = null;

async function start() {
  speak(remembered() ?? navigator.languages?.find((tag) => /^(en|pt)/i.test(tag)) ?? "en");
  document.body.classList.remove("waiting");
  if (!Asking.possible()) {
    refuse("no_simd", {});
    return;
  }
  listen();
  chooseWay(facts.drawing ? "draw" : "photos");
  try {
    await asking.start();
    document.body.classList.add("ready");
  } catch (error) {
    if (!(error instanceof NotRead)) throw error;
    refuse("no_start", error.values);
  }
}

// What stops the page is said in both languages.
function refuse(name, values) {
  const fill = (text) => text.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
  id("trouble").replaceChildren(...Object.values(facts.texts).map((texts) => el("p", { lang: texts.tag }, fill(texts[name]))));
  id("trouble").hidden = false;
  id("give").hidden = true;
}

// Languages ----------------------------------------------------------------------------------

function remembered() {
  try {
    return localStorage.getItem("olhar-language");
  } catch {
    return null; // a page from a file may keep nothing in some browsers
  }
}

function speak(tag) {
  language = /^pt/i.test(tag) ? "pt" : "en";
  useWords(facts.texts[language]);
  const { network, data, size, labels } = facts;
  document.title = `${data} · olhar`;
  id("question").textContent = say(facts.digits ? "digit_question" : "question");
  id("about").textContent = say("about", { network, data, size, n: number(labels.length) });
  id("card-text").innerHTML = facts.card[language]; // made by olhar from the run, of known elements
  for (const card of cards.all) card.draw();
  camera?.draw();
  drawnNow?.again();
  cards.count();
}

function shown(label) {
  return facts.shown[language]?.[label] ?? label;
}

// In -----------------------------------------------------------------------------------------

async function lookAt({ photo, bitmap, strokes }) {
  const question = strokes ? { drawing: drawSmall(strokes, facts.drawing) } : photo ? { blob: photo } : { bitmap };
  const found = await asking.ask(question, bitmap ? [bitmap] : []);
  document.body.dataset.ms = found.ms.toFixed(2); // of the network alone, for whoever measures
  return { answer: judge(found, facts), seen: found.seen, probabilities: found.probabilities };
}

function chooseWay(way) {
  document.querySelector(`[name=way][value=${way}]`).checked = true;
  id("by-drawing").hidden = way !== "draw";
  id("by-photos").hidden = way !== "photos";
  id("by-camera").hidden = way !== "camera";
  if (way !== "camera") camera?.stop();
}

function listen() {
  cards.listen();
  id("take").addEventListener("click", () => id("phone-camera").click());
  id("take").hidden = !matchMedia("(pointer: coarse)").matches;
  for (const radio of document.querySelectorAll("[name=way]")) radio.addEventListener("change", () => chooseWay(radio.value));
  id("more").addEventListener("click", () => id("card-sheet").showModal());
  id("card-close").addEventListener("click", () => id("card-sheet").close());
  id("card-sheet").addEventListener("click", (event) => event.target === id("card-sheet") && id("card-sheet").close());
  listenToSheet();
  listenToCamera();
}

function listenToLanguages() {
  for (const link of document.querySelectorAll(".languages a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      speak(link.lang);
      try {
        localStorage.setItem("olhar-language", link.lang);
      } catch {
        // then it is asked for again next time
      }
    });
  }
}

function listenToSheet() {
  id("way-draw").hidden = !facts.drawing;
  if (!facts.drawing) return;
  const now = new Now(id("drawn-live"));
  let last = null;
  let busy = false;
  const showNow = (answer) => { last = answer; now.show(last, facts, shown); };
  cards.listenToSheet(async (strokes) => {
    if (busy) return;
    busy = true;
    const { answer } = await lookAt({ strokes });
    busy = false;
    if (cards.sheet.strokes.length) showNow(answer);
  });
  drawnNow = { show: showNow, again: () => showNow(last) };
}

function listenToCamera() {
  const now = new Now(id("camera-live"));
  id("frame").dataset.used = String(facts.resize === 0); // the square in the middle is what it sees
  camera = new Camera({
    look: async (picture) => (await lookAt(picture)).answer,
    show: (answer) => now.show(answer, facts, shown),
    keep: (photo) => cards.keep(photo),
  });
}

// Out ----------------------------------------------------------------------------------------

// What is on the sheet, large and beside it; its card says it to screen readers.
function showDrawn() {
  if (cards.drawing?.state === "done") drawnNow.show(cards.drawing.answer);
  if (!cards.drawing && cards.sheet && !cards.sheet.strokes.length) drawnNow.show(null);
}

listenToLanguages();
start();
