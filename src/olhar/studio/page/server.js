// Requests: JSON there and back, errors as sentences; and what the project is doing, as the server tells it.

import { address } from "./address.js";
import { remember, settle } from "./done.js";
import { say } from "./words.js";

export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// `json` or `body` is sent; `values` are the query. The answer as JSON, or a Refusal whose message is for people.
export async function ask(path, { method = "GET", values = {}, json, body, type, signal } = {}) {
  const headers = { "X-Olhar": "studio" };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  else if (type) headers["Content-Type"] = type;
  let answer;
  try {
    answer = await fetch(address(path, values), { method, headers, signal, body: json === undefined ? body : JSON.stringify(json) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(say("no_server"), 0);
  }
  const text = await answer.text();
  let found = null;
  try {
    found = text ? JSON.parse(text) : null;
  } catch { /* no JSON: a proxy between us, perhaps */ }
  if (!answer.ok) throw new Refusal(found?.message ?? say("strange_answer", { status: answer.status }), answer.status);
  if (found?.changes) remember(found.changes);
  return found;
}

export const post = (path, json = {}) => ask(path, { method: "POST", json });

// The address of a photo of the project; `side`: of a small picture of it.
export function photoAddress(file, side) {
  const { href } = new URL(`../photos/${file.split("/").map(encodeURIComponent).join("/")}`, import.meta.url);
  return side ? `${href}?side=${side}` : href;
}

let state = null;
const followers = [];

export const now = () => state;

// `told(state)` is called now, where there is a state, and whenever it has changed.
export function follow(told) {
  followers.push(told);
  if (state) told(state);
}

function tell(found) {
  settle(found.undo);
  state = { ...found, models: found.models.map((model) => ({ ...model, name: say("model_n", { n: model.run }) })) };
  for (const told of followers) told(state);
}

export async function begin() {
  tell(await ask("api/state"));
  listen();
}

// The browser connects again by itself, but not after an answer that is an error.
function listen() {
  const source = new EventSource(address("api/events"));
  const stopped = document.getElementById("stopped");
  source.addEventListener("state", (event) => tell(JSON.parse(event.data)));
  source.addEventListener("open", () => { stopped.hidden = true; });
  source.addEventListener("error", () => {
    stopped.hidden = false;
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}
