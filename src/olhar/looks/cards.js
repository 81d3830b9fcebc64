// The cards of a page: pictures that are chosen, pasted, dropped or drawn get one each; a line counts them.

import { Sheet } from "./draw.js";
import { listenToDrops } from "./drops.js";
import { announce, number, say } from "./words.js";

const byId = (id) => document.getElementById(id);

export class Cards {
  // hooks: make(picture), a card; isUnsure(card), of one that is done; counted(), after every change;
  // home(), what gets the focus when no card is left.
  constructor(hooks) {
    this.hooks = hooks;
    this.all = new Set();
    this.drawing = null; // the card of what is on the sheet
    this.sheet = null;
    this.taken = { camera: 0, pasted: 0, drawings: 0 };
  }

  listen() {
    byId("choose").addEventListener("click", () => byId("files").click());
    for (const id of ["files", "phone-camera"]) {
      byId(id).addEventListener("change", () => {
        this.give([...byId(id).files]);
        byId(id).value = ""; // the same file may be chosen again
      });
    }
    document.addEventListener("paste", (event) => this.paste(event));
    byId("clear").addEventListener("click", () => { for (const card of this.all) this.remove(card); });
    listenToDrops((files) => this.give(files));
  }

  // `moved(strokes)` is called while a stroke grows.
  listenToSheet(moved) {
    this.sheet = new Sheet(byId("canvas"), (strokes) => this.draw(strokes), moved);
    byId("undo").addEventListener("click", () => this.sheet.undo());
    byId("new-drawing").addEventListener("click", () => {
      this.sheet.clear();
      this.drawing = null;
      this.count();
      byId("canvas").focus();
    });
  }

  add(pictures, { scroll = true } = {}) {
    const added = pictures.map((picture) => this.hooks.make(picture));
    for (const card of added) this.all.add(card);
    byId("answers").hidden = false;
    byId("cards").prepend(...added.map((card) => card.element));
    for (const card of added) card.ask();
    if (scroll && added.length && byId("cards").getBoundingClientRect().top > 0.6 * innerHeight) {
      byId("answers").scrollIntoView({ block: "start" });
    }
    return added;
  }

  give(files) {
    if (files.length) this.add(files.map((photo) => ({ name: photo.name, photo })));
    else announce(say("no_photos"));
  }

  // A photo of the camera.
  keep(photo) {
    this.add([{ name: say("camera_photo", { n: (this.taken.camera += 1) }), photo }]);
  }

  paste(event) {
    const files = [...event.clipboardData.files];
    if (event.target.matches?.("input:not([type=radio]), select") || !files.length) return;
    event.preventDefault();
    const named = (photo) => (photo.name && photo.name !== "image.png" ? photo.name : say("pasted", { n: (this.taken.pasted += 1) }));
    this.add(files.map((photo) => ({ name: named(photo), photo })));
  }

  draw(strokes) {
    if (!strokes.length) {
      if (this.drawing) this.remove(this.drawing);
    } else if (this.drawing) {
      this.drawing.strokes = [...strokes];
      this.drawing.ask();
    } else {
      const picture = { name: say("drawing", { n: (this.taken.drawings += 1) }), strokes: [...strokes] };
      [this.drawing] = this.add([picture], { scroll: false });
    }
  }

  remove(card) {
    const next = (card.element.nextElementSibling ?? card.element.previousElementSibling)?.querySelector(".close");
    card.gone();
    this.all.delete(card);
    if (card === this.drawing) this.drawing = null;
    this.count();
    (next ?? this.hooks.home()).focus();
  }

  count() {
    const all = [...this.all];
    const unsure = all.filter((card) => card.state === "done" && this.hooks.isUnsure(card)).length;
    const failed = all.filter(({ state }) => state === "failed").length;
    const parts = [say(all.length === 1 ? "one_photo" : "some_photos", { n: number(all.length) })];
    if (unsure) parts.push(say("some_unsure", { n: number(unsure) }));
    if (failed) parts.push(say("some_failed", { n: number(failed) }));
    byId("count").textContent = parts.join(" · ");
    byId("answers").hidden = !all.length;
    byId("clear").hidden = all.length < 2;
    this.hooks.counted();
  }
}
