// Photos of the project as lists and small pictures.

import { ask, photoAddress } from "./server.js";
import { arrived } from "./upload.js";
import { el } from "./words.js";

const SIDE = 240;

// The photos of a class, the latest of this visit first, then by name.
export async function photosOf(name) {
  const { photos } = await ask("api/photos", { values: { class: name } });
  return photos.sort((a, b) => (arrived.get(b.file) ?? -1) - (arrived.get(a.file) ?? -1));
}

export const trayPhotos = () => ask("api/photos", { values: { tray: 1 } });

export function thumbnail({ file, name, marks = [] }, alt = "") {
  const title = [name ?? file, ...marks.map(({ text }) => text)].join("\n");
  return el("span", { class: "thumb", title },
    el("img", { src: photoAddress(file, SIDE), alt, loading: "lazy", decoding: "async", draggable: "false" }),
    marks.length ? el("span", { class: "badge", "aria-hidden": "true" }, "!") : null);
}

// Asks for something again whenever it has changed, one request at a time and at most two in a second.
export class Fresh {
  constructor(work) {
    this.work = work;
    this.key = null;
    this.running = false;
    this.again = false;
  }

  async want(key) {
    if (key === this.key) return;
    this.key = key;
    this.again = true;
    if (this.running) return;
    this.running = true;
    try {
      while (this.again) {
        this.again = false;
        await this.work();
        await new Promise((go) => setTimeout(go, 500));
      }
    } catch (error) {
      this.key = null; // the next change asks again
      if (error.name !== "Error" && !("status" in error)) throw error;
    } finally {
      this.running = false;
    }
  }
}
