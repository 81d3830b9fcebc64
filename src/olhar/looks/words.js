// Texts, numbers in the reader's language, and elements built without HTML strings.

let words = { tag: "en" };

// From now on the page speaks with these texts.
export function useWords(given) {
  words = given;
  document.documentElement.lang = words.tag;
  document.title = words.title;
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = say(one.dataset.text);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", say(one.dataset.label));
  for (const one of document.querySelectorAll("[data-placeholder]")) one.placeholder = say(one.dataset.placeholder);
  for (const link of document.querySelectorAll(".languages a")) {
    if (link.lang === words.tag) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
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

// Never "100 %" for what is not certain, nor "0 %" for what is possible.
export function percent(share, digits = share === 1 || share === 0 ? 0 : 1) {
  const form = new Intl.NumberFormat(words.tag, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });
  const least = 10 ** (-2 - digits);
  if (share > 1 - least && share < 1) return `> ${form.format(1 - least)}`;
  if (share < least && share > 0) return `< ${form.format(least)}`;
  return form.format(share);
}

export function dateTime(iso) {
  return new Intl.DateTimeFormat(words.tag, { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
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
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}
