// The most probable classes as bars, in a list that is there; they move from what they showed before.

import { el, percent, say } from "./words.js";

// rows: [class as it is shown, probability], best first. From `threshold` on, an answer counts as sure.
export function fillBars(list, rows, threshold) {
  list.classList.toggle("marked", threshold > 0);
  list.style.setProperty("--threshold", threshold);
  list.setAttribute("aria-label", say("bars"));
  list.title = threshold > 0 ? say("sure_from", { threshold: percent(threshold) }) : "";
  while (list.children.length > rows.length) list.lastChild.remove();
  while (list.children.length < rows.length) {
    list.append(el("li", {}, el("span", { class: "of" }),
      el("span", { class: "track", "aria-hidden": "true" }, el("span", { class: "bar" })), el("span", { class: "share" })));
  }
  rows.forEach(([shown, probability], at) => {
    const [of, track, share] = list.children[at].children;
    of.textContent = shown;
    track.firstChild.style.setProperty("--share", probability);
    share.textContent = percent(probability);
  });
}
