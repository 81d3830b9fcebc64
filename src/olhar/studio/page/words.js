// Texts from the server, numbers in the reader's language, and elements built without HTML strings.

let words = { tag: "en" };
const home = new URL("../", import.meta.url); // behind a proxy, not the root of its host
const language = new URLSearchParams(location.search).get("lang");

// The address of an answer of the server, in the page's language.
export function address(path, values = {}) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== null && value !== undefined));
  if (language) query.set("lang", language);
  const found = new URL(path, home);
  found.search = query;
  return found.href;
}

export async function loadWords() {
  words = await (await fetch(address("api/texts"))).json();
  document.documentElement.lang = words.tag;
  document.title = words.title;
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = say(one.dataset.text);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", say(one.dataset.label));
  for (const link of document.querySelectorAll(".languages a")) {
    if (link.lang === words.tag) link.setAttribute("aria-current", "true");
    link.addEventListener("click", () => { link.hash = location.hash; });
  }
}

// The text of that name, with its {braces} filled in.
export function say(name, values = {}) {
  return words[name].replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));
}

// For screen readers: sentences that come close together are read as one.
let heard = [];
let timer = 0;
export function announce(text) {
  heard.push(text);
  clearTimeout(timer);
  timer = setTimeout(() => {
    document.getElementById("said").textContent = heard.slice(-6).join(" ");
    heard = [];
  }, 250);
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(words.tag, { maximumFractionDigits: digits }).format(value);
}

export function photoCount(n) {
  return n === 1 ? say("one_photo") : say("some_photos", { n: number(n) });
}

// Never "100 %" for what is not certain, nor "0 %" for what is possible.
export function percent(share, digits = 0) {
  const form = new Intl.NumberFormat(words.tag, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });
  const least = 10 ** (-2 - digits);
  if (share > 1 - least && share < 1) return `> ${form.format(1 - least)}`;
  if (share < least && share > 0) return `< ${form.format(least)}`;
  return form.format(share);
}

export function duration(seconds) {
  if (seconds < 90) return say("seconds", { n: number(Math.max(1, Math.ceil(seconds))) });
  return say("minutes_n", { n: number(Math.ceil(seconds / 60)) });
}

export function dateTime(iso) {
  const form = new Intl.DateTimeFormat(words.tag, { dateStyle: "medium", timeStyle: "short" });
  return form.format(new Date(iso));
}

// An element; children are elements or texts, never HTML.
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

// A button; `kind` is its look.
export function button(text, kind, act, attributes = {}) {
  const made = el("button", { type: "button", class: kind, ...attributes }, text);
  made.addEventListener("click", act);
  return made;
}

export const BIN = "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v6M14 11v6";

export function icon(path, size = 20) {
  return svg("svg", { viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true", class: "icon" }, svg("path", { d: path }));
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}
