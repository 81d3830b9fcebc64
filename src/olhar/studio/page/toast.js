// What was just done, with a way back.

import { button } from "./pieces.js";
import { ask, follow, now, post, Refusal } from "./server.js";
import { el, say } from "./words.js";

const SHOWN_MS = 9000;
const SETTLED_MS = 1200;
const place = document.getElementById("toast");
let timer = 0;
let latest = null; // what "Undo" of the toast that is shown would take back, once the server has said it

follow((state) => { if (latest !== null && state.undo?.text !== latest) hideToast(); });

// Something else was done since: its "Undo" would take back that.
export function hideToast() {
  latest = null;
  place.hidden = true;
}

// `back`: takes it back, or does what `label` says; without it the text alone is shown.
export function toast(text, back = null, { bad = false, label = say("undo") } = {}) {
  clearTimeout(timer);
  latest = null;
  if (back === undo) setTimeout(() => { latest = now().undo?.text ?? null; }, SETTLED_MS);
  const parts = [el("span", {}, text)];
  if (back) parts.push(button(label, "link", () => { hideToast(); back(); }));
  parts.push(button("×", "close", hideToast, { "aria-label": say("close") }));
  place.replaceChildren(...parts);
  place.classList.toggle("bad", bad);
  place.hidden = false;
  timer = setTimeout(hideToast, bad ? 2 * SHOWN_MS : SHOWN_MS);
}

export async function undo() {
  await attempt(async () => {
    const { text } = await post("api/undo");
    toast(say("undone", { text }));
  });
}

// A change; what was refused is shown. Whether it was made.
export async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    toast(error.message, null, { bad: true });
    return false;
  }
}

export const deletePhotos = (files) => attempt(async () => {
  await post("api/photos/delete", { files });
  toast(files.length === 1 ? say("deleted_one") : say("deleted", { n: files.length }), undo);
});

export const movePhotos = (files, name) => attempt(async () => {
  await post("api/photos/move", { files, class: name });
  toast(files.length === 1 ? say("moved_one", { name }) : say("moved", { n: files.length, name }), undo);
});

export const deleteClass = (name) => attempt(async () => {
  await ask(`api/classes/${encodeURIComponent(name)}`, { method: "DELETE" });
  toast(say("class_deleted", { name }), undo);
});
