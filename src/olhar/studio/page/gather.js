// The first step: a card for each class, the tray, and what the background work says.

import { ClassCard } from "./classcard.js";
import { latest } from "./done.js";
import { prepareDrops } from "./drop.js";
import { addClass, freeName } from "./naming.js";
import { follow } from "./server.js";
import { undo } from "./toast.js";
import { showTray, trayKey } from "./tray.js";
import { tryFiles } from "./trying.js";
import { number, say } from "./words.js";

const byId = (id) => document.getElementById(id);
const cards = new Map(); // in the order in which people made them, which sorting by name would disturb

export function prepareGather() {
  byId("add-class").addEventListener("click", add);
  byId("undo").addEventListener("click", () => undo());
  prepareDrops((target) => {
    for (const card of cards.values()) if (card.element.contains(target)) return card;
    return null;
  }, tryFiles);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, dialog");
    if (byId("step-photos").hidden || typing || event.altKey) return;
    const takesBack = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
    if (takesBack && latest()) undo();
    else if (takesBack || event.ctrlKey || event.metaKey || !trayKey(event)) return;
    event.preventDefault();
  });
  follow(show);
}

async function add() {
  const name = await addClass(freeName());
  if (!name) return;
  const card = cards.get(name) ?? insert(name);
  card.input.focus();
  card.input.select();
}

function insert(name) {
  const card = new ClassCard(name, (old, made) => {
    cards.delete(old);
    cards.set(made, card);
  });
  cards.set(name, card);
  byId("add").before(card.element);
  return card;
}

function show(state) {
  const there = new Set(state.classes.map(({ name }) => name));
  const away = [...cards.keys()].filter((name) => !there.has(name));
  const added = state.classes.filter(({ name }) => !cards.has(name));
  // Renamed from elsewhere: the same photos under another name keep their place.
  for (const name of away) {
    const card = cards.get(name);
    if (away.length === 1 && added.length === 1 && (added[0].count === card.count || card.count < 0)) {
      card.call(added[0].name);
      cards.set(added[0].name, card);
    } else {
      card.recorder.close();
      card.element.remove();
    }
    cards.delete(name);
  }
  for (const one of state.classes) (cards.get(one.name) ?? insert(one.name)).show(one);
  byId("welcome").hidden = state.classes.length > 0 || state.tray.count > 0;
  byId("step-photos").classList.toggle("fresh", !state.classes.length);
  const { done, total } = state.looking;
  byId("looking").textContent = done < total ? say("looking", { done: number(done), total: number(total) }) : "";
  const text = state.undo[latest()];
  byId("undo").hidden = !text;
  if (text) byId("undo").textContent = say("undo_what", { text });
  showTray(state);
}
