// The second step: one button, and what the training says while it goes on.

import { drawCurves } from "./curves.js";
import { chooseModel, showModels } from "./models.js";
import { button, duration } from "./pieces.js";
import { ask, follow, post } from "./server.js";
import { attempt, toast } from "./toast.js";
import { announce, el, number, say } from "./words.js";

const NOTES = 4; // the latest, which are shown

const place = document.getElementById("step-train");
const parts = {};
let training = null;
let curves = "";
let known = null; // runs that had a model

export function prepareTrain() {
  parts.train = button(say("train"), "button main large", train, { "aria-describedby": "train-why" });
  parts.use = button(say("try_it"), "button main large", () => { location.hash = "try"; });
  parts.stop = button(say("stop"), "button large", stop);
  parts.heading = el("h1", {});
  parts.lead = el("p", { class: "lead" });
  parts.why = el("p", { id: "train-why", class: "quiet" });
  parts.title = el("h2", {});
  parts.stage = el("p", { class: "stage" });
  parts.left = el("p", { class: "quiet left" });
  parts.bar = el("progress", { "aria-label": say("progress") });
  parts.chart = el("div", { class: "chart" });
  parts.notes = el("ul", { class: "said small" });
  parts.going = el("div", { class: "going", hidden: true },
    el("div", { class: "row" }, parts.title, el("span", { class: "grow" }), parts.stop),
    el("div", { class: "row" }, parts.stage, el("span", { class: "grow" }), parts.left), parts.bar, parts.notes, parts.chart);
  parts.ready = el("div", { class: "ready" }, parts.heading, parts.lead,
    el("div", { class: "buttons" }, parts.use, parts.train), parts.why, settings());
  parts.command = el("code", {});
  parts.hint = el("div", { class: "same small quiet" }, el("p", {}, say("same_command")), el("pre", { tabindex: 0 }, parts.command));
  parts.models = el("div", { class: "models" });
  place.append(el("div", { class: "panel start" }, parts.ready, parts.going), parts.models, parts.hint);
  document.getElementById("older-train").addEventListener("click", train);
  new ResizeObserver(() => { curves = ""; drawChart(); }).observe(parts.chart);
  follow(show);
}

function settings() {
  const field = (text, control, hint) => el("label", { class: "setting" }, el("span", {}, text), control, el("span", { class: "quiet small" }, hint));
  parts.network = el("select", {}, el("option", { value: "" }, say("auto")));
  parts.about = el("span", { class: "quiet small" }, say("network_hint"));
  parts.minutes = el("input", { type: "number", min: 1, max: 600, step: 1, inputmode: "numeric", placeholder: say("auto") });
  parts.augment = el("select", {}, el("option", { value: "" }, say("auto")), el("option", { value: "yes" }, say("yes")), el("option", { value: "no" }, say("no")));
  parts.seed = el("input", { type: "number", min: 0, step: 1, inputmode: "numeric", placeholder: say("auto") });
  const more = el("details", { class: "settings" }, el("summary", {}, say("more")),
    el("div", {},
      el("label", { class: "setting" }, el("span", {}, say("network")), parts.network, parts.about),
      field(say("minutes"), parts.minutes, say("minutes_hint")),
      field(say("augment"), parts.augment, say("augment_hint")),
      field(say("seed"), parts.seed, say("seed_hint"))));
  more.addEventListener("toggle", loadNetworks, { once: true });
  return more;
}

async function loadNetworks() {
  await attempt(async () => {
    const networks = await ask("api/networks");
    parts.network.append(...networks.map(({ name }) => el("option", { value: name }, name)));
    parts.network.addEventListener("change", () => {
      parts.about.textContent = networks.find(({ name }) => name === parts.network.value)?.text ?? say("network_hint");
    });
  });
}

const whole = (input) => (input.value === "" ? null : Number(input.value));

async function train() {
  const augment = { "": null, yes: true, no: false }[parts.augment.value];
  const wanted = { network: parts.network.value || null, minutes: whole(parts.minutes), augment, seed: whole(parts.seed) };
  const asked = await attempt(() => post("api/train", wanted));
  if (asked) location.hash = "train";
}

const stop = () => attempt(() => post("api/train/stop"));

const STAGES = { waiting: () => say("stage_waiting"), training: () => say("stage_training"), measuring: () => say("stage_measuring"), trying: () => say("stage_trying") };

function show(state) {
  const before = training;
  training = state.training;
  const ready = state.models.find((model) => model.has_model);
  if (before && !training && ready?.run !== before.run) announce(say("stopped_training"));
  tellReady(state.models, ready);
  const learnt = Boolean(ready) && !ready.older_than_photos && !ready.unfinished;
  parts.heading.textContent = learnt ? say("learnt_title") : say("train_title");
  parts.use.hidden = !learnt;
  parts.train.classList.toggle("main", !learnt);
  parts.lead.textContent = learnt ? say("learnt_lead", { name: ready.name }) : say("train_lead");
  parts.ready.hidden = Boolean(training);
  parts.going.hidden = !training;
  parts.train.disabled = Boolean(state.can_train);
  parts.why.textContent = state.can_train ?? "";
  parts.why.hidden = !state.can_train;
  parts.command.textContent = state.command;
  showModels(parts.models, state);
  if (training) showTraining();
}

// A model that was not there before can be tried, also where it is not measured yet.
function tellReady(models, ready) {
  const there = new Set(models.filter((model) => model.has_model).map(({ run }) => run));
  if (known && ready && !known.has(ready.run)) {
    toast(say("trained", { name: ready.name }), () => { chooseModel(ready.run); location.hash = "try"; }, { label: say("try_it") });
    announce(say("trained", { name: ready.name }));
  }
  known = there;
}

function showTraining() {
  const { run, title, done, total, seconds_left: left, stage, notes } = training;
  parts.title.textContent = say("model_n", { n: run });
  parts.stage.replaceChildren(STAGES[stage]?.() ?? stage, ...(title ? [el("span", { class: "quiet" }, ` · ${title}`)] : []));
  parts.left.textContent = left === null ? "" : say("left", { time: duration(left) });
  if (total) {
    parts.bar.max = total;
    parts.bar.value = done;
    parts.bar.setAttribute("aria-valuetext", say("of_total", { done: number(done), total: number(total) }));
  } else parts.bar.removeAttribute("value");
  const key = JSON.stringify(notes);
  if (parts.notes.dataset.key !== key) parts.notes.replaceChildren(...(notes ?? []).slice(-NOTES).map((text) => el("li", { title: text }, text)));
  parts.notes.dataset.key = key;
  drawChart();
}

function drawChart() {
  if (!training || place.hidden) return;
  const key = JSON.stringify([training.epochs.length, parts.chart.clientWidth]);
  if (key === curves) return;
  curves = key;
  drawCurves(parts.chart, training.epochs);
}
