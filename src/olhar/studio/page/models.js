// The models of this project beside each other, on one scale.

import { ask, post } from "./server.js";
import { attempt, toast, undo } from "./toast.js";
import { button, dateTime, el, percent, photoCount, say, svg } from "./words.js";

let shown = "";

export function showModels(holder, { models, training }) {
  const key = JSON.stringify([models, Boolean(training)]);
  if (key === shown) return;
  shown = key;
  holder.hidden = !models.length;
  const ends = models.flatMap(({ interval }) => interval ?? []);
  const range = [Math.min(...ends, 0.9), 1];
  holder.replaceChildren(el("h2", {}, say("models")), el("ul", {}, ...models.map((model) => row(model, range, training))));
}

function row(model, range, training) {
  const { run, name, made, network, accuracy, photos } = model;
  const tags = [model.better ? el("span", { class: "tag good" }, say("best")) : null,
    model.unfinished ? el("span", { class: "tag" }, say("unfinished")) : null,
    model.older_than_photos && !model.unfinished ? el("span", { class: "tag" }, say("older_tag")) : null];
  const goOn = button(say("go_on"), "button", () => attempt(() => post("/api/train/resume", { run })));
  goOn.disabled = Boolean(training);
  const use = button(say("try_it"), "button", () => {
    chooseModel(run);
    location.hash = "try";
  }, { "aria-label": say("try_name", { name }) });
  return el("li", { class: "panel model" },
    el("div", { class: "who" }, el("strong", {}, name), " ", ...tags,
      el("p", { class: "quiet small" }, [network, photoCount(photos), dateTime(made)].filter(Boolean).join(" · "))),
    accuracy === null ? el("p", { class: "quiet small" }, say("not_measured")) : measured(model, range),
    el("div", { class: "buttons" }, model.unfinished ? goOn : use,
      button("×", "round plain", () => remove(model), { "aria-label": say("delete_model", { name }), title: say("delete_model", { name }) })));
}

function measured({ accuracy, interval }, [low, high]) {
  const at = (value) => (4 + ((value - low) / (high - low)) * 112).toFixed(1);
  const [from, to] = interval ?? [accuracy, accuracy];
  const text = say("interval", { low: percent(from), high: percent(to) });
  return el("div", { class: "measured" }, el("strong", {}, percent(accuracy)),
    svg("svg", { class: "interval", viewBox: "0 0 120 10", width: 120, height: 10, "aria-hidden": "true" },
      svg("line", { class: "track", x1: 4, x2: 116, y1: 5, y2: 5 }), svg("line", { class: "range", x1: at(from), x2: at(to), y1: 5, y2: 5 }),
      svg("circle", { cx: at(accuracy), cy: 5, r: 3.5 })),
    el("span", { class: "quiet small" }, text));
}

const remove = ({ run, name }) => attempt(async () => {
  await ask(`/api/models/${encodeURIComponent(run)}`, { method: "DELETE" });
  toast(say("model_deleted", { name }), undo);
});

// The model that is tried and shared: the one chosen, else the best, else the latest.

const choosers = [];
let wanted = null;

export function chosenModel(state) {
  const ready = state.models.filter((model) => !model.unfinished);
  return ready.find(({ run }) => run === wanted) ?? ready.find(({ better }) => better) ?? ready[0] ?? null;
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
      const ready = state.models.filter((model) => !model.unfinished);
      const key = JSON.stringify(ready.map(({ run, name, accuracy }) => [run, name, accuracy]));
      if (key !== shownOptions) {
        select.replaceChildren(...ready.map(({ run, name, accuracy }) => el("option", { value: run }, accuracy === null ? name : `${name} · ${percent(accuracy)}`)));
      }
      shownOptions = key;
      const model = chosenModel(state);
      if (model) select.value = model.run;
      field.hidden = ready.length < 2;
      return model;
    },
  };
}
