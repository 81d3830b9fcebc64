// Requests: the token where one is asked for, another try when the server is busy, and errors as sentences.

import { address } from "./address.js";
import { say } from "./words.js";

const AT_ONCE = 4; // a browser opens six connections to a host; some stay free
const LONGEST_WAIT_S = 10;
const PATIENCE_S = 120; // for a server that says that it is busy

let token = sessionStorage.getItem("olhar-token");
let running = 0;
const waiting = [];

// `hopeless`: the same photo would be refused again.
export class Refusal extends Error {
  constructor(message, { hopeless = false } = {}) {
    super(message);
    this.hopeless = hopeless;
  }
}

// Waits its turn, so that many photos do not crowd each other out.
async function inTurn(work) {
  if (running >= AT_ONCE) await new Promise((go) => waiting.push(go));
  running += 1;
  try {
    return await work();
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

export const ask = (path, values, body, hooks = {}) => inTurn(() => request(path, values, body, hooks));

async function request(path, values, body, { type, busy = () => {}, signal, patience_s = PATIENCE_S } = {}) {
  const end = performance.now() + 1000 * patience_s;
  for (;;) {
    const headers = {};
    if (token) headers.Authorization = `Bearer ${token}`;
    if (type) headers["Content-Type"] = type;
    let answer;
    try {
      answer = await fetch(address(path, values), { method: body === undefined ? "GET" : "POST", body, headers, signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(say("no_server"));
    }
    if (answer.ok) return answer;
    if (answer.status === 401) {
      token = await askToken();
      sessionStorage.setItem("olhar-token", token);
    } else if ((answer.status === 503 || answer.status === 429) && performance.now() < end) {
      busy();
      const wait_s = Math.min(Number(answer.headers.get("Retry-After")) || 1, LONGEST_WAIT_S);
      await new Promise((go) => setTimeout(go, 1000 * wait_s * (0.75 + Math.random() / 2)));
    } else {
      throw new Refusal(await sentence(answer), { hopeless: [413, 415, 422].includes(answer.status) });
    }
  }
}

async function sentence(answer) {
  try {
    const { error } = await answer.json();
    if (error.message) return error.message;
  } catch { /* no JSON: a proxy between us, perhaps */ }
  return say("strange_answer", { status: answer.status });
}

let asking = null;
function askToken() {
  asking ??= new Promise((done) => {
    const sheet = document.getElementById("token-sheet");
    const field = document.getElementById("token");
    document.body.classList.remove("waiting");
    field.value = "";
    sheet.addEventListener("cancel", (event) => event.preventDefault());
    document.getElementById("token-form").addEventListener("submit", () => {
      asking = null;
      done(field.value);
    }, { once: true });
    sheet.showModal();
  });
  return asking;
}
