// Addresses of what the server answers, in the page's language; the page's texts are the first of them.

import { useWords } from "./words.js";

let language = new URLSearchParams(location.search).get("lang");
const home = new URL("../", import.meta.url); // behind a proxy, not the root of its host

// `values` are the query, without those that are null.
export function address(path, values = {}) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== null && value !== undefined));
  if (language) query.set("lang", language);
  const found = new URL(path, home);
  found.search = query;
  return found.href;
}

export async function loadWords(path = "api/texts", chosen = language) {
  language = chosen;
  useWords(await (await fetch(address(path))).json());
}
