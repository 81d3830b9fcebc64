// What was just done, with a way back.

import { forget, latest } from "./done.js";
import { button } from "./pieces.js";
import { ask, post, Refusal } from "./server.js";
import { el, say } from "./words.js";

const SHOWN_MS = 9000;
const place = document.getElementById("toast");
let timer = 0;

export function hideToast() {
  place.hidden = true;
}

// `back`: takes it back, or does what `label` says; without it the text alone is shown.
export function toast(text, back = null, { bad = false, label = say("undo") } = {}) {
  clearTimeout(timer);
  const parts = [el("span", {}, text)];
  if (back) parts.push(button(label, "link", () => { hideToast(); back(); }));
  parts.push(button("×", "close", hideToast, { "aria-label": say("close") }));
  place.replaceChildren(...parts);
  place.classList.toggle("bad", bad);
  place.hidden = false;
  timer = setTimeout(hideToast, bad ? 2 * SHOWN_MS : SHOWN_MS);
}

// What this page has changed is taken back; by itself the latest.
export const undo = (id = latest()) => attempt(async () => {
  try {
    const { text } = await post("api/undo", { id });
    forget(id);
    toast(say("undone", { text }));
  } catch (error) {
    if (error.status === 404) forget(id);
    throw error;
  }
});

// A way back from what the server has answered to a change.
export const wayBack = ({ changes }) => (changes.length ? () => undo(changes.at(-1)) : null);

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
  const made = await post("api/photos/delete", { files });
  toast(files.length === 1 ? say("deleted_one") : say("deleted", { n: files.length }), wayBack(made));
});

export const movePhotos = (files, name) => attempt(async () => {
  const made = await post("api/photos/move", { files, class: name });
  toast(files.length === 1 ? say("moved_one", { name }) : say("moved", { n: files.length, name }), wayBack(made));
});

export const deleteClass = (name) => attempt(async () => {
  const made = await ask(`api/classes/${encodeURIComponent(name)}`, { method: "DELETE" });
  toast(say("class_deleted", { name }), wayBack(made));
});
