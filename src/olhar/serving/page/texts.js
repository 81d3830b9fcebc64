// The texts come from the server, in the language that is asked for.

import { useWords } from "./words.js";

let language = new URLSearchParams(location.search).get("lang");

const home = new URL("../", import.meta.url); // behind a proxy, not the root of its host

// The address of an answer of the server, in the page's language.
export function address(path, values = {}) {
  const query = new URLSearchParams(values);
  if (language) query.set("lang", language);
  const found = new URL(path, home);
  found.search = query;
  return found;
}

export async function loadWords(chosen = language) {
  language = chosen;
  useWords(await (await fetch(address("page/texts"))).json());
}
