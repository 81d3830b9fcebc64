// A class's first page: a name and a code open a project; the line of trainings, for everyone to see.

import { address, loadWords } from "./address.js";
import { el, say } from "./words.js";

const EVERY_MS = 3000;
const at = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);

async function begin() {
  await loadWords();
  for (const one of document.querySelectorAll(".languages a")) {
    const kept = new URLSearchParams(query);
    kept.set("lang", new URLSearchParams(one.search).get("lang"));
    one.search = kept.toString();
  }
  at("class-code").value = query.get("token") ?? "";
  at("form").addEventListener("submit", (event) => { event.preventDefault(); enter(); });
  at("leave").addEventListener("click", leave);
  await look();
  setInterval(() => { if (!document.hidden) look(); }, EVERY_MS);
}

async function look() {
  let state;
  try {
    state = await (await fetch(address("api/state"), { cache: "no-store" })).json();
  } catch {
    tell(say("no_answer"));
    return;
  }
  if (at("message").textContent === say("no_answer")) tell(null);
  at("inside").hidden = !state.student;
  at("form").hidden = Boolean(state.student);
  at("who").textContent = state.student ? say("you_are", { name: state.student }) : "";
  at("class-part").hidden = !state.class_code;
  at("class-hint").hidden = !state.class_code;
  at("class-code").required = state.class_code;
  at("line-part").hidden = state.students === null;
  at("students").textContent = say("students", { n: state.students, most: state.most });
  at("empty").hidden = state.line.length > 0;
  at("line").replaceChildren(...state.line.map((name, place) => row(name, place, name === state.student)));
}

function row(name, place, mine) {
  const what = el("span", { class: "quiet small" }, say(place ? "line_waits" : "line_first"));
  return el("li", { class: mine && "mine" }, el("b", {}, name), what);
}

function tell(text) {
  at("message").textContent = text ?? "";
  at("message").hidden = !text;
}

const send = (path, json = {}) => fetch(address(path), {
  method: "POST", headers: { "X-Olhar": "class", "Content-Type": "application/json" }, body: JSON.stringify(json),
});

async function enter() {
  tell(null);
  try {
    const answer = await send("api/enter", { name: at("name").value, code: at("code").value, class_code: at("class-code").value });
    const found = await answer.json();
    if (answer.ok) location.assign(address("/"));
    else tell(found.message);
  } catch {
    tell(say("no_answer"));
  }
}

async function leave() {
  await send("api/leave");
  at("code").value = "";
  await look();
  at("name").focus();
}

begin();
