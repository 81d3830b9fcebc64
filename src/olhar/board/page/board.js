// The page: asks the server every two seconds what has changed, and shows that.

import { drawCurves, drawFigures, epochAt, lastEpoch } from "./charts.js";
import { address, announce, letter, loadWords, mark } from "./figures.js";
import { drawMatrix } from "./matrix.js";
import { refreshTimes, RunTable } from "./runs.js";
import { openSheet, prepareSheet } from "./sheet.js";
import { el, say } from "./words.js";

const EVERY_MS = 2000;
const MOST_CHOSEN = 12;
const STATES = ["training", "finished", "cut_off", "damaged"];
const byId = (id) => document.getElementById(id);

const shown = { measure: "accuracy", withTrain: false, epoch: null };
let runs = new Map(); // id → summary
let slots = new Map(); // id of a chosen run → its place: letter and colour
let details = new Map(); // id of a chosen run → all of it
let etag = null;
let folder = "";
let table = null;
let drawnPair = "";

async function start() {
  await loadWords();
  table = new RunTable(choose, (id) => openSheet(runs.get(id), folder, slots.get(id)));
  const states = [["", say("all_states")], ...STATES.map((state) => [state, say(state)])];
  byId("state").replaceChildren(...states.map(([value, text]) => el("option", { value }, text)));
  byId("count").textContent = say("loading");
  prepareSheet();
  listen();
  document.body.classList.remove("waiting");
  await poll();
}

function listen() {
  const filter = () => {
    table.filter = { words: byId("search").value.toLowerCase().split(/\s+/).filter(Boolean), state: byId("state").value };
    table.arrange();
  };
  byId("search").addEventListener("input", filter);
  byId("state").addEventListener("change", filter);
  byId("clear").addEventListener("click", () => {
    byId("search").value = "";
    byId("state").value = "";
    filter();
    byId("search").focus();
  });
  for (const radio of document.querySelectorAll("[name=measure]")) {
    radio.addEventListener("change", () => { shown.measure = radio.value; showCurves(); });
  }
  byId("with-train").addEventListener("change", (event) => { shown.withTrain = event.target.checked; showCurves(); });
  byId("equal-too").addEventListener("change", showSettings);
  byId("left").addEventListener("change", showMatrices);
  byId("right").addEventListener("change", showMatrices);
  byId("epoch").addEventListener("input", (event) => readEpoch(Number(event.target.value)));
  byId("chart").addEventListener("pointermove", (event) => {
    const box = byId("chart").getBoundingClientRect();
    readEpoch(epochAt(event.clientX - box.left, box.width, lastEpoch(chosenRuns())));
  });
  byId("chart").addEventListener("pointerleave", () => readEpoch(null));
  new ResizeObserver(showCurves).observe(byId("chart"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawnPair = ""; showMatrices(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
}

let polling = false;
let timer = 0;

async function poll() {
  if (polling) return;
  polling = true;
  clearTimeout(timer);
  try {
    await update();
    showPulse(true);
  } catch {
    showPulse(false);
  }
  polling = false;
  if (!document.hidden) timer = setTimeout(poll, EVERY_MS);
}

function showPulse(alive) {
  byId("pulse").classList.toggle("dead", !alive);
  byId("pulse").title = alive ? say("live_hint") : "";
  const text = alive ? say("live") : say("stopped");
  if (byId("pulse-text").textContent === text) return;
  byId("pulse-text").textContent = text;
  if (!alive) announce(text);
}

async function update() {
  const answer = await fetch(address("api/runs"), { headers: etag ? { "If-None-Match": etag } : {} });
  if (answer.status === 200) {
    etag = answer.headers.get("etag");
    const found = await answer.json();
    take(found);
  } else if (answer.status !== 304) throw new Error(String(answer.status));
  refreshTimes();
  await fetchDetails();
}

function take(found) {
  const first = runs.size === 0;
  const before = runs;
  runs = new Map(found.runs.map((run) => [run.id, run]));
  folder = found.folder;
  byId("folder").textContent = folder;
  for (const [id, run] of before) {
    const now = runs.get(id);
    if (!now) announce(say("gone", { name: run.name }));
    else if (now.state !== run.state) announce(say("now_state", { name: run.name, state: say(now.state) }));
  }
  if (first && !slots.size) chooseAtFirst();
  for (const id of slots.keys()) if (!runs.has(id)) drop(id);
  byId("empty").hidden = runs.size > 0;
  for (const id of ["board", "filters", "comparison"]) byId(id).hidden = runs.size === 0;
  byId("count").hidden = runs.size === 0;
  table.show(found.runs, slots);
  showChosen();
}

// The runs named in the address, else the newest two that have something to show.
function chooseAtFirst() {
  const named = new URLSearchParams(location.hash.slice(1)).getAll("run").filter((id) => runs.has(id));
  const newest = [...runs.values()].filter((run) => run.epochs && run.state !== "damaged").sort((a, b) => b.modified - a.modified);
  const chosen = named.length ? named.slice(0, MOST_CHOSEN) : newest.slice(0, 2).map((run) => run.id);
  slots = new Map(chosen.map((id, slot) => [id, slot]));
}

function choose(id, wanted) {
  const name = runs.get(id).name;
  if (!wanted) {
    drop(id);
    announce(say("not_chosen", { name }));
  } else if (slots.size >= MOST_CHOSEN) announce(say("most_chosen", { n: MOST_CHOSEN }));
  else {
    const taken = new Set(slots.values());
    const slot = [...Array(MOST_CHOSEN).keys()].find((one) => !taken.has(one));
    slots.set(id, slot);
    announce(say("chosen", { name, letter: letter(slot) }));
  }
  const hash = new URLSearchParams([...slots.keys()].map((one) => ["run", one])).toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  table.show([...runs.values()], slots);
  showChosen();
  fetchDetails();
}

function drop(id) {
  slots.delete(id);
  details.delete(id);
}

// All of each chosen run whose files have changed since it was last asked for.
async function fetchDetails() {
  const stale = [...slots.keys()].filter((id) => details.get(id)?.version !== runs.get(id)?.version);
  const answers = await Promise.all(stale.map(async (id) => {
    const answer = await fetch(address(`api/runs/${encodeURIComponent(id)}`));
    return answer.ok ? answer.json() : null; // deleted meanwhile: the next list says so
  }));
  for (const found of answers) if (found && slots.has(found.id)) details.set(found.id, found);
  if (answers.some(Boolean)) showCompared();
}

function chosenRuns() {
  const found = [...slots].filter(([id]) => details.has(id)).map(([id, slot]) => ({ ...details.get(id), slot }));
  return found.sort((a, b) => a.slot - b.slot);
}

function showChosen() {
  const chips = [...slots].sort((a, b) => a[1] - b[1]).map(([id, slot]) => {
    const { name } = runs.get(id);
    const button = el("button", { type: "button", "aria-label": say("take_out", { name }) }, "×");
    button.addEventListener("click", () => choose(id, false));
    return el("li", {}, mark(slot), el("span", { class: "clip", title: name }, name), button);
  });
  byId("chosen").replaceChildren(...chips);
  byId("hint").hidden = slots.size > 0;
  byId("compared").hidden = slots.size === 0;
  showCompared();
}

function showCompared() {
  showCurves();
  showPairChoice();
  showMatrices();
  showSettings();
}

function readEpoch(epoch) {
  if (shown.epoch === epoch) return;
  shown.epoch = epoch;
  showCurves();
}

function showCurves() {
  const chosen = chosenRuns();
  if (!chosen.length) return;
  const last = lastEpoch(chosen);
  const epoch = shown.epoch === null ? null : Math.min(shown.epoch, last);
  drawCurves(byId("chart"), chosen, { ...shown, epoch });
  drawFigures(byId("figures"), chosen, { ...shown, epoch });
  byId("epoch").max = last;
  byId("epoch").value = epoch ?? last;
  byId("epoch").setAttribute("aria-valuetext", say("at_epoch", { n: epoch ?? last }));
}

// Which chosen runs can stand left and right; what was picked stays picked.
function showPairChoice() {
  const measured = chosenRuns().filter((run) => run.confusion_matrix.length);
  const key = JSON.stringify(measured.map((run) => [run.id, run.slot]));
  for (const [place, side] of ["left", "right"].entries()) {
    const select = byId(side);
    if (select.dataset.key === key) continue;
    const before = select.value;
    select.replaceChildren(...measured.map((run) => el("option", { value: run.id }, `${letter(run.slot)} · ${run.name}`)));
    const stays = measured.some((run) => run.id === before) && select.dataset.count === String(measured.length);
    select.value = stays ? before : (measured[place] ?? measured[0])?.id ?? "";
    select.dataset.key = key;
    select.dataset.count = measured.length;
  }
  byId("pair").hidden = !measured.length;
  byId("pair").classList.toggle("single", measured.length === 1);
  byId("matrix-help").hidden = !measured.length;
  byId("no-matrix").hidden = measured.length > 0;
}

function showMatrices() {
  const pair = ["left", "right"].map((side) => details.get(byId(side).value));
  const key = JSON.stringify(pair.map((run) => run && [run.id, run.version]));
  if (key === drawnPair) return;
  drawnPair = key;
  drawMatrix(byId("left-matrix"), pair[0]);
  drawMatrix(byId("right-matrix"), pair[1]);
}

function showSettings() {
  const chosen = chosenRuns();
  const names = [...new Set(chosen.flatMap((run) => Object.keys(run.settings)))];
  const differs = (name) => new Set(chosen.map((run) => run.settings[name])).size > 1;
  const kept = names.filter((name) => byId("equal-too").checked || differs(name));
  const rows = kept.map((name) => el("tr", { class: differs(name) ? "differs" : "" }, el("th", { scope: "row" }, name),
    ...chosen.map((run) => el("td", {}, run.settings[name] ?? el("span", { class: "quiet" }, say("not_set"))))));
  const heads = chosen.map((run) => el("th", { scope: "col" }, el("span", { class: "named" }, mark(run.slot), el("span", { class: "clip" }, run.name))));
  const head = el("tr", {}, el("th", { scope: "col" }, say("setting")), ...heads);
  byId("settings").replaceChildren(el("thead", {}, head), el("tbody", {}, ...rows));
  byId("settings").hidden = !rows.length;
  byId("no-settings").hidden = rows.length > 0;
  byId("no-settings").textContent = chosen.length > 1 ? say("no_difference") : say("one_for_settings");
}

start();
