// Small things that every step of the studio shows: buttons, signs, how many photos, how long.

import { el, number, percent, say, svg } from "./words.js";

export const wholePercent = (share) => percent(share, 0);

export function photoCount(n) {
  return n === 1 ? say("one_photo") : say("some_photos", { n: number(n) });
}

export function duration(seconds) {
  if (seconds < 90) return say("seconds", { n: number(Math.max(1, Math.ceil(seconds))) });
  return say("minutes_n", { n: number(Math.ceil(seconds / 60)) });
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
