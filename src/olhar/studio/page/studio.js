// The studio: four steps, which are tabs, over one project that the server keeps.

import { loadWords } from "./address.js";
import { prepareGather } from "./gather.js";
import { preparePhones } from "./phones.js";
import { duration, photoCount } from "./pieces.js";
import { begin, follow, Refusal } from "./server.js";
import { prepareShare } from "./share.js";
import { prepareTrain } from "./train.js";
import { arrive, leave, prepareTry } from "./trying.js";
import { number, say } from "./words.js";

const byId = (id) => document.getElementById(id);
const STEPS = ["photos", "train", "try", "share"];
let shown = null;

async function start() {
  await loadWords();
  for (const link of document.querySelectorAll(".languages a")) link.addEventListener("click", () => { link.hash = location.hash; });
  prepareGather();
  prepareTrain();
  prepareTry();
  prepareShare();
  preparePhones();
  prepareTabs();
  follow(show);
  try {
    await begin();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    byId("message").textContent = error.message;
    byId("message").hidden = false;
  }
  document.body.classList.remove("waiting");
}

function prepareTabs() {
  const tabs = STEPS.map((step) => byId(`tab-${step}`));
  tabs.forEach((tab, at) => {
    tab.addEventListener("click", () => go(STEPS[at]));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: STEPS.length - 1 }[event.key];
      if (to === undefined) return;
      const next = (to + STEPS.length) % STEPS.length;
      go(STEPS[next]);
      tabs[next].focus();
      event.preventDefault();
    });
  });
  addEventListener("hashchange", showTab);
  showTab();
}

function go(step) {
  location.hash = step;
  showTab(); // at once, not after the browser's event
}

function showTab() {
  const wanted = STEPS.find((step) => `#${step}` === location.hash) ?? STEPS[0];
  if (wanted === shown) return;
  if (shown === "try") leave();
  for (const step of STEPS) {
    const here = step === wanted;
    byId(`step-${step}`).hidden = !here; // not the word in the address, to which browsers would scroll
    byId(`tab-${step}`).setAttribute("aria-selected", String(here));
    byId(`tab-${step}`).tabIndex = here ? 0 : -1;
  }
  const first = shown === null;
  shown = wanted;
  if (!first) scrollTo(0, 0);
  if (wanted === "try") arrive();
  showOlder();
}

let state = null;

function show(found) {
  state = found;
  byId("project").textContent = state.project;
  byId("project").title = state.project;
  byId("to-class").hidden = !state.in_class;
  const photos = state.classes.reduce((sum, { count }) => sum + count, 0);
  const classes = state.classes.length;
  byId("count").textContent = classes ? `${classes === 1 ? say("one_class") : say("some_classes", { n: number(classes) })} · ${photoCount(photos)}` : "";
  byId("message").hidden = !state.message;
  if (state.message) {
    byId("message").textContent = state.message.text;
    byId("message").classList.toggle("note", state.message.kind === "note");
  }
  showOlder();
}

// The model that is used is older than its photos, or one is being trained: said on every tab but that of training.
function showOlder() {
  if (!state) return;
  const ready = state.models.filter((model) => model.has_model);
  const older = ready.length > 0 && ready.every((model) => model.older_than_photos);
  byId("older").hidden = shown === "train" || Boolean(state.training) || !older || Boolean(state.can_train);
  byId("busy").hidden = shown === "train" || !state.training;
  if (!state.training) return;
  const { run, done, total, seconds_left: left } = state.training;
  byId("busy-text").textContent = left === null ? say("busy", { n: run }) : say("busy_left", { n: run, time: duration(left) });
  if (total) {
    byId("busy-bar").max = total;
    byId("busy-bar").value = done;
  } else byId("busy-bar").removeAttribute("value");
}

start();
