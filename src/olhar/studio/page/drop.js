// Files that are dropped, pasted or chosen: folders are walked, and give their names to classes.

import { addClass } from "./naming.js";
import { now } from "./server.js";
import { toast } from "./toast.js";
import { upload } from "./upload.js";
import { say } from "./words.js";

const PHOTO = /\.(jpe?g|png|webp|bmp|gif|tiff?|heic|heif|avif|jfif|pgm|ppm)$/i;
const IGNORED = /(^|\/)(\.|__MACOSX|Thumbs\.db$|desktop\.ini$)/;

const isPhoto = (file) => file.type.startsWith("image/") || PHOTO.test(file.name);

let elsewhere = () => false;

// `onto` says for which class a drop at an element is meant, null: for none; `instead(files)` whether they were taken there.
export function prepareDrops(onto, instead) {
  elsewhere = instead;
  const veil = document.getElementById("veil");
  let inside = 0;
  let target = null;
  const over = (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return false;
    event.preventDefault();
    return true;
  };
  const aim = (card) => {
    if (target !== card) target?.classList.remove("aimed");
    target = card;
    target?.classList.add("aimed");
    veil.hidden = inside === 0 || card !== null;
    document.getElementById("veil-text").textContent = say("drop_now");
  };
  addEventListener("dragenter", (event) => { if (over(event)) { inside += 1; aim(onto(event.target)?.element ?? null); } });
  addEventListener("dragover", (event) => { if (over(event)) aim(onto(event.target)?.element ?? null); });
  addEventListener("dragleave", () => { inside = Math.max(0, inside - 1); if (!inside) aim(null); });
  addEventListener("drop", async (event) => {
    if (!over(event)) return;
    const name = onto(event.target)?.name ?? null;
    inside = 0;
    aim(null);
    give(await dropped(event.dataTransfer), name);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    give(files.map((file) => ({ file, folder: "" })), onto(document.activeElement)?.name ?? null);
  });
}

// found: [{file, folder}]. Without a class, the folder of a photo names it; the rest goes to the tray.
export async function give(found, name) {
  if (found.length && name === null && elsewhere(found.map(({ file }) => file))) return;
  if (!found.length) {
    toast(say("no_photos"), null, { bad: true });
    return;
  }
  const names = new Map();
  if (location.hash && location.hash !== "#photos") location.hash = "photos";
  if (name === null) {
    for (const folder of new Set(found.map((one) => one.folder).filter(Boolean))) names.set(folder, await classFor(folder));
  }
  await upload(found.map(({ file, folder }) => ({ file, class: name ?? names.get(folder) ?? null, burst: null })));
}

async function classFor(folder) {
  const same = now().classes.find((one) => one.name.toLowerCase() === folder.toLowerCase());
  return same ? same.name : addClass(folder);
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, folder: "" }));
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

// Whether there was a photo. A folder that has folders with photos is no class: its own photos have none.
async function walk(entry, folder, found) {
  if (IGNORED.test(entry.name)) return false;
  if (entry.isFile) {
    const file = await new Promise((done) => entry.file(done, () => done(null)));
    if (!file) return false;
    found.push({ file, folder });
    return isPhoto(file);
  }
  const inside = [];
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done) => reader.readEntries(done, () => done([]))); // at most 100 at a time
    if (!some.length) break;
    inside.push(...some);
  }
  const own = [];
  let photos = false;
  for (const one of inside.filter(({ isFile }) => isFile)) photos = await walk(one, entry.name, own) || photos;
  let deeper = false;
  for (const one of inside.filter(({ isDirectory }) => isDirectory)) deeper = await walk(one, "", found) || deeper;
  const isClass = photos && !deeper;
  found.push(...own.map(({ file }) => ({ file, folder: isClass ? entry.name : "" })));
  return photos || deeper;
}

// A file chooser for one class, or for the tray.
export function choose(name) {
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;
  input.accept = "image/*,.zip";
  input.addEventListener("change", () => give([...input.files].map((file) => ({ file, folder: "" })), name));
  input.click();
}
