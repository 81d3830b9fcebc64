// The page: takes pictures in, and shows a card for each. It talks to nobody: all it needs lies in it.

import { judge, Now } from "./answers.js";
import { Asking } from "./asking.js";
import { Camera } from "./camera.js";
import { Card } from "./card.js";
import { drawSmall } from "./digit.js";
import { Sheet } from "./draw.js";
import { NotRead } from "./notread.js";
import { announce, el, number, say, useWords } from "./words.js";

const facts = JSON.parse(document.getElementById("facts").textContent);
const id = (name) => document.getElementById(name);
const cards = new Set();
const taken = { camera: 0, pasted: 0, drawings: 0 };
const asking = new Asking(facts);
const hooks = { facts, shown, look: lookAt, changed: count, removed: (card) => removeCard(card) };

let language = "en";
let sheet = null;
let camera = null;
let drawing = null; // the card of what is on the sheet
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
  for (const card of cards) card.draw();
  camera?.draw();
  drawnNow?.again();
  count();
}

function shown(label) {
  return facts.shown[language]?.[label] ?? label;
}

// In -----------------------------------------------------------------------------------------

async function lookAt({ blob, bitmap, strokes }) {
  const question = strokes ? { drawing: drawSmall(strokes, facts.drawing) } : blob ? { blob } : { bitmap };
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

function addCards(pictures, { scroll = true } = {}) {
  const added = pictures.map((picture) => new Card(picture, hooks));
  for (const card of added) cards.add(card);
  id("answers").hidden = false;
  id("cards").prepend(...added.map((card) => card.element));
  for (const card of added) card.ask();
  if (scroll && added.length && id("cards").getBoundingClientRect().top > 0.6 * innerHeight) {
    id("answers").scrollIntoView({ block: "start" });
  }
  return added;
}

function addFiles(files) {
  if (files.length) addCards(files.map((blob) => ({ name: blob.name, blob })));
  else announce(say("no_photos"));
}

function removeCard(card) {
  const next = (card.element.nextElementSibling ?? card.element.previousElementSibling)?.querySelector(".close");
  card.gone();
  cards.delete(card);
  if (card === drawing) drawing = null;
  count();
  const ways = [["by-drawing", "canvas"], ["by-camera", "start-camera"], ["by-photos", "choose"]];
  (next ?? id(ways.find(([way]) => !id(way).hidden)[1])).focus();
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
  id("choose").addEventListener("click", () => id("files").click());
  id("take").addEventListener("click", () => id("phone-camera").click());
  id("take").hidden = !matchMedia("(pointer: coarse)").matches;
  for (const name of ["files", "phone-camera"]) {
    id(name).addEventListener("change", () => {
      addFiles([...id(name).files]);
      id(name).value = ""; // the same file may be chosen again
    });
  }
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    const named = (photo) => (photo.name && photo.name !== "image.png" ? photo.name : say("pasted", { n: (taken.pasted += 1) }));
    addCards(files.map((blob) => ({ name: named(blob), blob })));
  });
  for (const radio of document.querySelectorAll("[name=way]")) radio.addEventListener("change", () => chooseWay(radio.value));
  id("clear").addEventListener("click", () => { for (const card of cards) removeCard(card); });
  id("more").addEventListener("click", () => id("card-sheet").showModal());
  id("card-close").addEventListener("click", () => id("card-sheet").close());
  id("card-sheet").addEventListener("click", (event) => event.target === id("card-sheet") && id("card-sheet").close());
  listenToDrops();
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

function listenToDrops() {
  let over = 0; // dragenter comes once for every element on the way
  const veil = (open) => { id("veil").hidden = !open; if (!open) over = 0; };
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
  id("way-draw").hidden = !facts.drawing;
  if (!facts.drawing) return;
  const now = new Now(id("drawn-live"));
  let last = null;
  let busy = false;
  drawnNow = { again: () => now.show(last, facts, shown) };
  const showNow = (answer) => { last = answer; drawnNow.again(); };
  sheet = new Sheet(id("canvas"), (strokes) => {
    if (!strokes.length) {
      if (drawing) removeCard(drawing);
    } else if (drawing) {
      drawing.strokes = [...strokes];
      drawing.ask();
    } else {
      [drawing] = addCards([{ name: say("drawing", { n: (taken.drawings += 1) }), strokes: [...strokes] }], { scroll: false });
    }
  }, async (strokes) => {
    if (busy) return;
    busy = true;
    const { answer } = await lookAt({ strokes });
    busy = false;
    if (sheet.strokes.length) showNow(answer);
  });
  hooks.drawn = showNow;
  id("undo").addEventListener("click", () => sheet.undo());
  id("new-drawing").addEventListener("click", () => {
    sheet.clear();
    drawing = null;
    showNow(null);
    count();
    id("canvas").focus();
  });
}

function listenToCamera() {
  const now = new Now(id("camera-live"));
  id("frame").dataset.used = String(facts.resize === 0); // the square in the middle is what it sees
  camera = new Camera({
    look: async (picture) => (await lookAt(picture)).answer,
    show: (answer) => now.show(answer, facts, shown),
    keep: (blob) => addCards([{ name: say("camera_photo", { n: (taken.camera += 1) }), blob }]),
  });
}

// Out ----------------------------------------------------------------------------------------

function count() {
  const all = [...cards];
  const doubtful = all.filter(({ state, answer }) => state === "done" && (!answer.sure || answer.outlier)).length;
  const failed = all.filter(({ state }) => state === "failed").length;
  const parts = [say(all.length === 1 ? "one_photo" : "some_photos", { n: number(all.length) })];
  if (doubtful) parts.push(say("some_unsure", { n: number(doubtful) }));
  if (failed) parts.push(say("some_failed", { n: number(failed) }));
  id("count").textContent = parts.join(" · ");
  id("answers").hidden = !all.length;
  id("clear").hidden = all.length < 2;
  if (drawing?.state === "done") hooks.drawn?.(drawing.answer);
  if (!drawing && sheet && !sheet.strokes.length) hooks.drawn?.(null);
}

listenToLanguages();
start();
