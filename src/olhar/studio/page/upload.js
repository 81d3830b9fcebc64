// Photos on their way to the server: a few requests at a time, and what became of each.

import { button, photoCount } from "./pieces.js";
import { ask, Refusal } from "./server.js";
import { deletePhotos, hideToast } from "./toast.js";
import { announce, el, number, say } from "./words.js";

const AT_ONCE = 2;
const MOST_FILES = 16; // in one request
const MOST_BYTES = 12 * 2 ** 20;
const NAMED = 50; // refused photos that are named on the page
const QUIET_MS = 6000;
const AGAIN_MS = 2000;

const place = document.getElementById("arrivals");
const waiting = [];
let running = 0;
let cancelled = false;
let round = null; // what has come since the last time that nothing was on its way
let timer = 0;

// Photos that came since the page was opened, and when: the latest are shown first.
export const arrived = new Map();

const isZip = (file) => /\.zip$/i.test(file.name) || file.type.includes("zip");

// items: [{file: File, class: name or null, burst: id or null}]. Ends when all of them have an answer.
export function upload(items) {
  if (!items.length) return Promise.resolve();
  clearTimeout(timer);
  cancelled = false;
  hideToast();
  round ??= { total: 0, done: 0, taken: [], already: [], refused: [], trouble: null };
  round.total += items.length;
  const sent = packed(items).map((pack) => new Promise((done) => waiting.push({ ...pack, done })));
  show();
  for (let i = running; i < AT_ONCE; i += 1) next();
  return Promise.all(sent);
}

// Photos that go to the same place, as many as one request should have.
function packed(items) {
  const packs = [];
  for (const { file, class: name, burst } of items) {
    const last = packs.at(-1);
    const fits = last && !last.zip && !isZip(file) && last.class === name && last.burst === burst
      && last.files.length < MOST_FILES && last.bytes + file.size <= MOST_BYTES;
    if (fits) {
      last.files.push(file);
      last.bytes += file.size;
    } else packs.push({ files: [file], bytes: file.size, class: name, burst, zip: isZip(file) });
  }
  return packs;
}

async function next() {
  const pack = waiting.shift();
  if (!pack) return;
  running += 1;
  await send(pack);
  round.done += pack.files.length;
  pack.done();
  running -= 1;
  show();
  if (waiting.length) next();
  else if (!running) finish();
}

async function send(pack) {
  try {
    const found = await untilThere(pack);
    for (const { file } of found.taken) {
      round.taken.push(file);
      arrived.set(file, arrived.size);
    }
    round.already.push(...found.already);
    round.refused.push(...found.refused);
    round.trouble = found.trouble ?? round.trouble;
  } catch (error) {
    if (pack.files.length > 1 && (!(error instanceof Refusal) || error.status === 413)) {
      for (const file of pack.files) await send({ ...pack, files: [file] }); // the others may well be taken
    } else {
      if (!(error instanceof Refusal) && error.name !== "NotFoundError" && error.name !== "NotReadableError") throw error;
      for (const { name } of pack.files) round.refused.push({ name, reason: error.message });
    }
  }
}

// A studio that does not answer may come back; what the camera has taken is nowhere else.
async function untilThere(pack) {
  const values = { class: pack.class, burst: pack.burst, ...bodyName(pack) };
  for (;;) {
    try {
      return await ask("api/photos", { method: "POST", values, ...body(pack) });
    } catch (error) {
      if (error.status !== 0 || cancelled) throw error;
      await new Promise((go) => setTimeout(go, AGAIN_MS));
    }
  }
}

function bodyName({ files }) {
  return files.length === 1 ? { name: files[0].name } : {};
}

function body({ files, zip }) {
  if (files.length === 1) return { body: files[0], type: zip ? "application/zip" : files[0].type || "application/octet-stream" };
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  return { body: form };
}

function finish() {
  const { taken, already, refused, trouble } = round;
  const parts = [taken.length || !refused.length ? (taken.length === 1 ? say("came_one") : say("came", { n: number(taken.length) })) : null,
    already.length ? say("already", { n: number(already.length) }) : null,
    refused.length ? say("refused", { n: number(refused.length) }) : null, trouble];
  announce(parts.filter(Boolean).join(" "));
  if (!refused.length && !trouble) timer = setTimeout(close, QUIET_MS);
}

function close() {
  place.hidden = true;
  round = null;
}

function cancel() {
  cancelled = true;
  for (const pack of waiting.splice(0)) {
    round.total -= pack.files.length;
    pack.done();
  }
  if (!running) finish();
  show();
}

function show() {
  const { total, done, taken, already, refused, trouble } = round;
  const busy = waiting.length > 0 || running > 0;
  place.hidden = false;
  const head = busy ? say("coming", { done: number(done), total: number(total) })
    : !taken.length && refused.length ? say("came_none") : taken.length === 1 ? say("came_one") : say("came", { n: number(taken.length) });
  const parts = [el("div", { class: "row" }, el("strong", {}, head), el("span", { class: "grow" }),
    busy ? button(say("cancel"), "link", cancel) : null,
    !busy && taken.length ? button(say("undo"), "link", () => { const files = round.taken; close(); deletePhotos(files); }) : null,
    busy ? null : button("×", "close", close, { "aria-label": say("close") }))];
  if (busy) parts.push(el("progress", { max: total, value: done, "aria-label": say("progress") }));
  if (already.length) parts.push(el("p", { class: "quiet small" }, say("already", { n: number(already.length) })));
  if (refused.length) parts.push(el("p", { class: "small" }, say("refused", { n: number(refused.length) })), el("ul", { class: "refused small", tabindex: 0 }, ...reasons(refused)));
  if (trouble) parts.push(el("p", { class: "small notice" }, trouble));
  place.replaceChildren(...parts);
}

// The names of the photos that were refused for the same reason, together.
function reasons(refused) {
  const groups = new Map();
  for (const { name, reason } of refused.slice(0, 20 * NAMED)) groups.set(reason, [...(groups.get(reason) ?? []), name]);
  return [...groups].map(([reason, names]) => {
    const more = names.length > NAMED ? ` ${say("and_more", { n: photoCount(names.length - NAMED) })}` : "";
    const shown = names.slice(0, NAMED).filter((name) => !reason.includes(name));
    return el("li", {}, el("strong", {}, shown.join(", ") + more), shown.length ? " " : null, reason);
  });
}
