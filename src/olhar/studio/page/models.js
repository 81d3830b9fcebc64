// The models of this project beside each other, on one scale.

import { BIN, button, icon, photoCount, wholePercent } from "./pieces.js";
import { ask, post } from "./server.js";
import { attempt, toast, wayBack } from "./toast.js";
import { dateTime, el, say, svg } from "./words.js";

let shown = "";

export function showModels(holder, { models, training }) {
  const ended = models.filter(({ run, has_model: has }) => has || run !== training?.run);
  const key = JSON.stringify([ended, training?.run]);
  if (key === shown) return;
  shown = key;
  holder.hidden = !ended.length;
  const ends = ended.flatMap(({ interval }) => interval ?? []);
  const range = [Math.min(...ends, 0.9), 1];
  holder.replaceChildren(el("h2", {}, say("models")), el("ul", {}, ...ended.map((model) => row(model, range, training))));
}

function row(model, range, training) {
  const { run, name, made, network, accuracy, photos } = model;
  const tags = [model.better ? el("span", { class: "tag good" }, say("better")) : null,
    model.unfinished && model.run !== training?.run ? el("span", { class: "tag" }, say(model.busy ? "stage_training" : "unfinished")) : null,
    model.older_than_photos && model.has_model ? el("span", { class: "tag" }, say("older_tag")) : null];
  const goOn = button(say("go_on"), "button", () => attempt(() => post("api/train/resume", { run })));
  const use = button(say("try_it"), "button", () => {
    chooseModel(run);
    location.hash = "try";
  }, { "aria-label": say("try_name", { name }) });
  return el("li", { class: "panel model" },
    el("div", { class: "who" }, el("strong", {}, name), " ", ...tags,
      el("p", { class: "quiet small" }, [network, photoCount(photos), dateTime(made)].filter(Boolean).join(" · "))),
    accuracy === null ? el("p", { class: "quiet small" }, say("not_measured")) : measured(model, range),
    el("div", { class: "buttons" }, model.unfinished && !model.busy && !training ? goOn : null, model.has_model ? use : null,
      model.run === training?.run || model.busy ? null : button(icon(BIN), "round plain", () => remove(model), { "aria-label": say("delete_model", { name }), title: say("delete_model", { name }) })));
}

function measured({ accuracy, interval }, [low, high]) {
  const at = (value) => (4 + ((value - low) / (high - low)) * 112).toFixed(1);
  const [from, to] = interval ?? [accuracy, accuracy];
  const text = say("interval", { low: wholePercent(from), high: wholePercent(to) });
  return el("div", { class: "measured" }, el("strong", {}, wholePercent(accuracy)),
    svg("svg", { class: "interval", viewBox: "0 0 120 10", width: 120, height: 10, "aria-hidden": "true" },
      svg("line", { class: "track", x1: 4, x2: 116, y1: 5, y2: 5 }), svg("line", { class: "range", x1: at(from), x2: at(to), y1: 5, y2: 5 }),
      svg("circle", { cx: at(accuracy), cy: 5, r: 3.5 })),
    el("span", { class: "quiet small" }, text));
}

const remove = ({ run, name }) => attempt(async () => {
  const made = await ask(`api/models/${encodeURIComponent(run)}`, { method: "DELETE" });
  toast(say("model_deleted", { name }), wayBack(made));
});

// The model that is tried and shared: the one chosen, else the latest.

const choosers = [];
let wanted = null;

export function chosenModel(state) {
  const ready = state.models.filter((model) => model.has_model);
  return ready.find(({ run }) => run === wanted) ?? ready[0] ?? null;
}

export function chooseModel(run) {
  wanted = run;
  for (const told of choosers) told();
}

// A chooser of models; `changed()` when another is chosen here or elsewhere.
export function modelChooser(changed) {
  const select = el("select", {});
  const field = el("label", { class: "field" }, el("span", {}, say("model")), select);
  let shownOptions = "";
  select.addEventListener("change", () => chooseModel(select.value));
  choosers.push(changed);
  return {
    element: field,
    show(state) {
      const ready = state.models.filter((model) => model.has_model);
      const key = JSON.stringify(ready.map(({ run, name, accuracy }) => [run, name, accuracy]));
      if (key !== shownOptions) {
        select.replaceChildren(...ready.map(({ run, name, accuracy }) => el("option", { value: run }, accuracy === null ? name : `${name} · ${wholePercent(accuracy)}`)));
      }
      shownOptions = key;
      const model = chosenModel(state);
      if (model) select.value = model.run;
      field.hidden = ready.length < 2;
      return model;
    },
  };
}
