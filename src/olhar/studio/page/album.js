// Many photos in a sheet: looked through page by page, selected, moved, deleted.

import { thumbnail } from "./photos.js";
import { button, photoCount } from "./pieces.js";
import { now } from "./server.js";
import { deletePhotos, movePhotos } from "./toast.js";
import { el, number, say } from "./words.js";

const PAGE = 150;
const dialog = document.getElementById("album");
let open = null;

dialog.addEventListener("close", () => { open = null; dialog.replaceChildren(); });
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

// `load()` gives the photos; `home` is the class that they are in, if it is one.
export async function openAlbum({ title, hint = "", home = null, load }) {
  open = new Album(title, hint, home);
  dialog.replaceChildren(...open.parts);
  if (!dialog.open) dialog.showModal();
  const mine = open;
  const photos = await load();
  if (open === mine) mine.fill(photos);
}

class Album {
  constructor(title, hint, home) {
    this.chosen = new Set();
    this.photos = [];
    this.last = null;
    this.home = home;
    this.count = el("span", { class: "quiet small", role: "status" });
    this.grid = el("ul", { class: "grid" });
    this.end = el("div", { class: "end" });
    this.target = el("select", { "aria-label": say("move_to") });
    this.move = button(say("move"), "button", () => this.act((files) => movePhotos(files, this.target.value)));
    this.delete = button(say("delete"), "button", () => this.act(deletePhotos));
    this.all = button(say("select_all"), "link", () => this.selectAll());
    this.tools = el("div", { class: "row tools" }, this.all, el("span", { class: "grow" }), this.target, this.move, this.delete);
    this.parts = [
      el("header", { class: "sheet-head" },
        el("div", { class: "row" }, el("h2", { id: "album-title" }, title), this.count, el("span", { class: "grow" }),
          button("×", "round", () => dialog.close(), { "aria-label": say("close") })),
        hint ? el("p", { class: "quiet" }, hint) : null, this.tools),
      el("div", { class: "sheet-body" }, this.grid, this.end)];
    this.watch = new IntersectionObserver(([entry]) => { if (entry.isIntersecting) this.more(); }, { root: dialog, rootMargin: "600px" });
    this.grid.addEventListener("click", (event) => this.range(event));
    this.grid.addEventListener("keydown", (event) => { if (event.key === "Delete" && this.chosen.size) this.delete.click(); });
  }

  fill(photos) {
    this.photos = photos;
    this.shown = 0;
    this.grid.replaceChildren();
    this.target.replaceChildren(...now().classes.filter(({ name }) => name !== this.home).map(({ name }) => el("option", { value: name }, name)));
    this.watch.observe(this.end);
    this.more();
    this.tell();
  }

  more() {
    const some = this.photos.slice(this.shown, this.shown + PAGE);
    this.shown += some.length;
    this.grid.append(...some.map((photo) => {
      const box = el("input", { type: "checkbox", value: photo.file });
      box.checked = this.chosen.has(photo.file);
      box.addEventListener("change", () => {
        if (box.checked) this.chosen.add(photo.file);
        else this.chosen.delete(photo.file);
        this.tell();
      });
      const picture = thumbnail(photo, photo.name);
      picture.querySelector("img").addEventListener("error", () => picture.classList.add("gone"), { once: true });
      return el("li", {}, el("label", {}, box, picture),
        photo.marks?.length ? el("p", { class: "small quiet" }, photo.marks[0].text) : null);
    }));
  }

  // Shift and click: all between this photo and the one before.
  range(event) {
    const box = event.target;
    if (box.type !== "checkbox") return;
    const boxes = [...this.grid.querySelectorAll("input")];
    const at = boxes.indexOf(box);
    if (event.shiftKey && this.last !== null) {
      for (const one of boxes.slice(Math.min(at, this.last), Math.max(at, this.last) + 1)) {
        one.checked = box.checked;
        if (box.checked) this.chosen.add(one.value);
        else this.chosen.delete(one.value);
      }
      this.tell();
    }
    this.last = at;
  }

  selectAll() {
    const all = this.chosen.size < this.photos.length;
    this.chosen = new Set(all ? this.photos.map(({ file }) => file) : []);
    for (const box of this.grid.querySelectorAll("input")) box.checked = all;
    this.tell();
  }

  tell() {
    const n = this.chosen.size;
    this.count.textContent = n ? say("selected", { n: number(n), total: number(this.photos.length) }) : photoCount(this.photos.length);
    this.delete.disabled = !n;
    this.move.disabled = this.target.disabled = !n || !this.target.options.length;
    this.all.textContent = n && n === this.photos.length ? say("select_none") : say("select_all");
    this.tools.hidden = !this.photos.length;
  }

  async act(change) {
    const files = [...this.chosen];
    if (!await change(files)) return;
    const gone = new Set(files);
    this.chosen.clear();
    this.last = null;
    this.photos = this.photos.filter(({ file }) => !gone.has(file));
    for (const box of this.grid.querySelectorAll("input")) {
      if (!gone.has(box.value)) continue;
      box.closest("li").remove();
      this.shown -= 1;
    }
    this.tell();
    if (!this.photos.length) dialog.close();
    else this.more();
  }
}
