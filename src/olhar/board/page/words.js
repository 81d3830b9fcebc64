// Texts from the server, numbers in the reader's language, and elements built without HTML strings.

let words = { tag: "en" };
export const language = new URLSearchParams(location.search).get("lang");
const home = new URL("./", import.meta.url); // behind a proxy, not the root of its host

// The address of an API answer in the page's language.
export function address(path) {
  const found = new URL(path, home);
  if (language) found.searchParams.set("lang", language);
  return found.href;
}

export async function loadWords() {
  const answer = await fetch(address("api/texts"));
  words = await answer.json();
  document.documentElement.lang = words.tag;
  document.title = words.title;
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = say(one.dataset.text);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", say(one.dataset.label));
  for (const one of document.querySelectorAll("[data-placeholder]")) one.placeholder = say(one.dataset.placeholder);
  for (const link of document.querySelectorAll(".languages a")) {
    if (link.lang === words.tag) link.setAttribute("aria-current", "true");
  }
}

// The text of that name, with its {braces} filled in.
export function say(name, values = {}) {
  return words[name].replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));
}

export function announce(text) {
  document.getElementById("said").textContent = text;
}

export function number(value, digits = 0) {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(words.tag, options).format(value);
}

export function percent(value, digits = 2) {
  const options = { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(words.tag, options).format(value);
}

// 1,290 → "1.3 k"; 4,310,000 → "4.3 M"
export function compact(value) {
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= size) return `${number(value / size, value >= 100 * size ? 0 : 1)} ${unit}`;
  }
  return number(value);
}

export function duration(seconds) {
  if (seconds < 60) return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function ago(seconds) {
  const form = new Intl.RelativeTimeFormat(words.tag, { numeric: "auto", style: "short" });
  const past = Date.now() / 1000 - seconds;
  for (const [size, unit] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) {
    if (past >= size) return form.format(-Math.floor(past / size), unit);
  }
  return form.format(-Math.max(0, Math.floor(past / 10) * 10), "second");
}

export function dateTime(seconds) {
  const form = new Intl.DateTimeFormat(words.tag, { dateStyle: "medium", timeStyle: "short" });
  return form.format(new Date(seconds * 1000));
}

// An element; children are elements or texts, never HTML.
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// The round sign of a chosen run: a letter in its colour.
export function mark(slot) {
  return el("span", { class: `mark run-${slot % 7}`, "aria-hidden": "true" }, letter(slot));
}

export function letter(slot) {
  return String.fromCharCode(65 + slot);
}
