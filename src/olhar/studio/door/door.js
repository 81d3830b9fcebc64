// A class's first page: a name and a code open a project; the line of trainings, for everyone to see.

const EVERY_MS = 3000;
const at = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const language = query.get("lang");
const address = (path) => (language ? `${path}?lang=${encodeURIComponent(language)}` : path);
let texts = {};
const say = (key, values = {}) => Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), texts[key]);

async function begin() {
  texts = await (await fetch(address("/class/api/texts"))).json();
  document.documentElement.lang = texts.tag;
  document.title = say("title");
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = say(one.dataset.text);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", say(one.dataset.label));
  for (const one of document.querySelectorAll(".languages a")) {
    if (one.lang === texts.tag) one.setAttribute("aria-current", "true");
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
    state = await (await fetch(address("/class/api/state"), { cache: "no-store" })).json();
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
  const item = document.createElement("li");
  const who = document.createElement("b");
  who.textContent = name;
  const what = document.createElement("span");
  what.className = "quiet small";
  what.textContent = say(place ? "line_waits" : "line_first");
  item.append(who, what);
  item.classList.toggle("mine", mine);
  return item;
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
    const answer = await send("/class/api/enter", { name: at("name").value, code: at("code").value, class_code: at("class-code").value });
    const found = await answer.json();
    if (answer.ok) location.assign(language ? `/?lang=${encodeURIComponent(language)}` : "/");
    else tell(found.message);
  } catch {
    tell(say("no_answer"));
  }
}

async function leave() {
  await send("/class/api/leave");
  at("code").value = "";
  await look();
  at("name").focus();
}

begin();
