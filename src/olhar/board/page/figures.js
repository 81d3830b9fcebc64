// Addresses and texts from the server, figures and times in the reader's language, the signs of runs.

import { el, useWords } from "./words.js";

const language = new URLSearchParams(location.search).get("lang");
const home = new URL("./", import.meta.url); // behind a proxy, not the root of its host

// The address of an API answer in the page's language.
export function address(path) {
  const found = new URL(path, home);
  if (language) found.searchParams.set("lang", language);
  return found.href;
}

export async function loadWords() {
  useWords(await (await fetch(address("api/texts"))).json());
}

// At once: what the board has to say comes alone.
export function announce(text) {
  document.getElementById("said").textContent = text;
}

export function number(value, digits = 0) {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(document.documentElement.lang, options).format(value);
}

export function percent(value, digits = 2) {
  const options = { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(document.documentElement.lang, options).format(value);
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
  const form = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto", style: "short" });
  const past = Date.now() / 1000 - seconds;
  for (const [size, unit] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) {
    if (past >= size) return form.format(-Math.floor(past / size), unit);
  }
  return form.format(-Math.max(0, Math.floor(past / 10) * 10), "second");
}

export function dateTime(seconds) {
  const form = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  return form.format(new Date(seconds * 1000));
}

// The round sign of a chosen run: a letter in its colour.
export function mark(slot) {
  return el("span", { class: `mark run-${slot % 7}`, "aria-hidden": "true" }, letter(slot));
}

export function letter(slot) {
  return String.fromCharCode(65 + slot);
}
