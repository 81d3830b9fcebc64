// The sheet of one run: what is wrong with it, its card, its pictures, the command that repeats it.

import { address, mark } from "./figures.js";
import { el, say } from "./words.js";

const dialog = document.getElementById("sheet");
const body = document.getElementById("sheet-body");
let wanted = null;

export function prepareSheet() {
  document.getElementById("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    wanted = null;
    body.replaceChildren();
  });
}

export async function openSheet(run, folder, slot) {
  wanted = run.id;
  const title = document.getElementById("sheet-title");
  title.replaceChildren(...(slot === undefined ? [] : [mark(slot)]), run.name);
  body.replaceChildren(el("p", { class: "none" }, "…"));
  if (!dialog.open) dialog.showModal();
  const path = `api/runs/${encodeURIComponent(run.id)}`;
  try {
    const answer = await fetch(address(path));
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.message);
    const card = found.has_card ? await readCard(path) : null;
    if (wanted === run.id) body.replaceChildren(...content(found, card, folder));
  } catch (error) {
    if (wanted === run.id) body.replaceChildren(el("p", { class: "notice" }, say("failed", { reason: error.message })));
  }
}

async function readCard(path) {
  const answer = await fetch(address(`${path}/card`));
  if (!answer.ok) return null;
  const { html } = await answer.json(); // safe: the server writes it with raw HTML disabled
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const card = el("article", { class: "card" }, ...parsed.body.childNodes);
  for (const table of card.querySelectorAll("table")) {
    const scroll = el("div", { class: "scroll" });
    table.replaceWith(scroll);
    scroll.append(table);
  }
  return card;
}

function content(run, card, folder) {
  const where = quoted(`${folder}/${run.group ? `${run.group}/` : ""}${run.name}`);
  const parts = [];
  if (run.state === "damaged") {
    parts.push(el("div", { class: "notice" }, el("strong", {}, say("damaged_title")), el("p", {}, run.problem)));
  }
  if (run.reservations.length) {
    parts.push(el("div", { class: "notice" }, el("strong", {}, say("reservation")), ...run.reservations.map((text) => el("p", {}, text))));
  }
  if (run.state === "cut_off") parts.push(hint(say("cut_off_title"), `olhar resume ${where}`));
  parts.push(card ?? hint(say("no_card"), `olhar card ${where}`));
  parts.push(el("h3", {}, say("plots")));
  parts.push(run.pictures.length ? gallery(run) : el("p", { class: "quiet" }, say("no_plots")));
  if (run.command) parts.push(el("h3", {}, say("command")), el("pre", {}, el("code", {}, run.command)));
  return parts;
}

function hint(text, command) {
  return el("div", { class: "notice" }, el("p", {}, text), el("pre", {}, el("code", {}, command)));
}

function quoted(path) {
  return /^[\w./@%+:-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

function gallery(run) {
  const figures = run.pictures.map((name) => {
    const source = address(`pictures/${encodeURIComponent(run.id)}/${name.split("/").map(encodeURIComponent).join("/")}`);
    const picture = el("img", { src: source, alt: name, loading: "lazy" });
    return el("figure", {}, el("a", { href: source, target: "_blank", rel: "noopener" }, picture), el("figcaption", { class: "quiet" }, name));
  });
  return el("div", { class: "gallery" }, ...figures);
}
