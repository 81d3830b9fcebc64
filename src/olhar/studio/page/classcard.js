// The card of a class: its name, its photos, what is wrong with them, and the ways to add some.

import { openAlbum } from "./album.js";
import { choose } from "./drop.js";
import { renameClass } from "./naming.js";
import { Fresh, photosOf, thumbnail } from "./photos.js";
import { BIN, button, icon, photoCount } from "./pieces.js";
import { Recorder } from "./recorder.js";
import { deleteClass } from "./toast.js";
import { el, number, say } from "./words.js";

const SHOWN = 11; // and a tile that opens the others

export class ClassCard {
  // `renamed(old, name)` before the server's state says so.
  constructor(name, renamed) {
    this.name = name;
    this.renamed = renamed;
    this.count = -1;
    this.input = el("input", { type: "text", class: "class-name", maxlength: 100, autocomplete: "off", spellcheck: "false", "aria-label": say("class_name") });
    this.number = el("span", { class: "quiet small count" });
    this.delete = button(icon(BIN), "round plain", () => deleteClass(this.name));
    this.recorder = new Recorder(() => this.name);
    this.thumbs = el("ul", { class: "thumbs" });
    this.notes = el("ul", { class: "notes" });
    this.element = el("section", { class: "panel class-card" },
      el("div", { class: "row" }, this.input, this.number, this.delete),
      this.recorder.view, this.recorder.trouble,
      el("div", { class: "buttons" }, this.recorder.button, button(say("choose"), "button", () => choose(this.name))),
      this.thumbs, this.notes);
    this.input.addEventListener("change", () => this.rename());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.input.blur();
      if (event.key === "Escape") {
        this.input.value = this.name;
        this.input.blur();
      }
    });
    this.fresh = new Fresh(() => this.load());
    this.call(name);
  }

  call(name) {
    this.name = name;
    if (document.activeElement !== this.input) this.input.value = name;
    this.element.setAttribute("aria-label", name);
    this.delete.setAttribute("aria-label", say("delete_class", { name }));
    this.delete.title = say("delete_class", { name });
  }

  async rename() {
    const wanted = this.input.value.trim();
    if (!wanted || wanted === this.name) {
      this.input.value = this.name;
      return;
    }
    const old = this.name;
    const made = await renameClass(old, wanted);
    if (made) {
      this.call(made);
      this.renamed(old, made);
    }
    this.input.value = this.name;
  }

  show({ count, version, notes }) {
    if (count !== this.count) this.number.textContent = photoCount(count);
    this.count = count;
    this.fresh.want(`${this.name}\n${version}\n${count}`);
    const key = JSON.stringify(notes);
    if (key === this.notesKey) return;
    this.notesKey = key;
    this.notes.replaceChildren(...notes.map(({ kind, text, files }) => el("li", { class: `note ${kind}` }, el("span", {}, text),
      files?.length ? button(say("look"), "link", () => this.album(files, text), { "aria-label": say("look_at", { text }) }) : null)));
  }

  async load() {
    const photos = await photosOf(this.name);
    const shown = photos.slice(0, photos.length > SHOWN + 1 ? SHOWN : SHOWN + 1);
    const tiles = shown.map((photo) => el("li", {}, thumbnail(photo, photo.name)));
    const rest = photos.length - shown.length;
    if (photos.length) {
      const text = rest ? `+${number(rest)}` : say("all");
      tiles.push(el("li", {}, button(text, "more", () => this.album(null), { "aria-label": say("show_all", { name: this.name }) })));
    } else tiles.push(el("li", { class: "none quiet small can-drop" }, say("drop_here")));
    this.thumbs.classList.toggle("empty", !photos.length);
    this.thumbs.replaceChildren(...tiles);
  }

  album(files, hint) {
    const wanted = files && new Set(files);
    openAlbum({ title: this.name, hint, home: this.name, load: async () => {
      const photos = await photosOf(this.name);
      return wanted ? photos.filter(({ file }) => wanted.has(file)) : photos;
    } });
  }
}
