// How good a model is: in words, as a table whose cells open the photos, and by its worst errors.

import { openAlbum } from "./album.js";
import { matrix } from "./matrix.js";
import { button, wholePercent } from "./pieces.js";
import { ask, now, photoAddress } from "./server.js";
import { deletePhotos, movePhotos, toast } from "./toast.js";
import { el, number, say } from "./words.js";

const WORST = 8;

export function measuredPart() {
  const element = el("div", { class: "measured-part" });
  let wanted = "";
  const show = async (model, visible) => {
    const key = JSON.stringify([model.run, model.accuracy]);
    if (!visible || key === wanted) return;
    wanted = key;
    try {
      const found = await ask(`api/models/${encodeURIComponent(model.run)}`);
      if (key === wanted) element.replaceChildren(...content(found, model));
    } catch (error) {
      if (!("status" in error)) throw error;
      wanted = "";
      element.replaceChildren(el("p", { class: "notice" }, error.message));
    }
  };
  return { element, show };
}

function content(found, { test_images: held }) {
  const { sentence, flatters, forecast, classes, confusion, cells, worst, facts, command } = found;
  const open = (label, predicted) => openAlbum({
    title: label === predicted ? say("rightly", { name: label }) : say("taken_for", { true: label, predicted }),
    home: label,
    load: async () => (cells[`${label}|${predicted}`] ?? []).map((file) => ({ file, name: file.split("/").at(-1) })),
  });
  const parts = [el("section", { class: "panel how", "aria-labelledby": "how-title" }, el("h2", { id: "how-title" }, say("how_good")),
    el("p", { class: "sentence" }, sentence), held ? el("p", { class: flatters ? "notice" : "quiet" }, say(flatters ? "flatters" : "held_back", { n: number(held) })) : null,
    forecast ? el("p", { class: "quiet forecast" }, forecast) : null)];
  if (confusion?.length) {
    parts.push(el("section", { class: "panel", "aria-labelledby": "matrix-title" }, el("h2", { id: "matrix-title" }, say("matrix")),
      el("p", { class: "quiet small" }, say("matrix_hint")), matrix(classes, confusion, open)));
  }
  if (worst?.length) parts.push(worstPart(worst));
  parts.push(el("details", { class: "panel facts" }, el("summary", {}, say("facts")),
    el("dl", {}, ...(facts ?? []).flatMap(([label, value]) => [el("dt", {}, label), el("dd", {}, value)])),
    command ? el("div", {}, el("p", { class: "quiet small" }, say("repeats")), el("pre", { tabindex: 0 }, el("code", {}, command))) : null));
  return parts;
}

function worstPart(worst) {
  return el("section", { class: "panel worst-part", "aria-labelledby": "worst-title" }, el("h2", { id: "worst-title" }, say("worst")),
    el("p", { class: "quiet small" }, say("worst_hint")), el("ul", { class: "worst" }, ...worst.slice(0, WORST).map(error)));
}

function error({ file, label, predicted, probability }) {
  const item = el("li", {});
  const settle = (done, text) => {
    if (!done) return;
    item.classList.add("settled");
    for (const one of item.querySelectorAll("button")) one.disabled = true;
    item.append(el("p", { class: "small quiet" }, text));
  };
  const there = now().classes.some(({ name }) => name === predicted);
  const picture = el("img", { src: photoAddress(file, 480), alt: file, loading: "lazy" });
  picture.addEventListener("error", () => settle(true, say("gone")), { once: true });
  item.append(picture,
    el("p", {}, say("said_instead", { predicted, share: wholePercent(probability) }), el("br"), el("span", { class: "quiet" }, say("it_is", { label }))),
    el("div", { class: "choices" },
      there ? button(say("wrong_label"), "link", async () => settle(await movePhotos([file], predicted), say("now_in", { name: predicted }))) : null,
      button(say("leave_out"), "link", async () => settle(await deletePhotos([file]), say("left_out"))),
      button(say("more_like"), "link", () => moreLike(label))));
  return item;
}

// The card of that class, where photos are added.
function moreLike(name) {
  location.hash = "photos";
  const card = [...document.querySelectorAll(".class-card")].find((one) => one.getAttribute("aria-label") === name);
  if (!card) return;
  requestAnimationFrame(() => {
    card.scrollIntoView({ block: "center" });
    card.querySelector(".record").focus();
  });
  toast(say("more_like_hint", { name }));
}
