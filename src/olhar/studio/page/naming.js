// Classes are made and named.

import { ask, now, post } from "./server.js";
import { attempt, toast, wayBack } from "./toast.js";
import { say } from "./words.js";

// The name as the server has it, or null where it was refused.
export async function addClass(name) {
  let made = null;
  await attempt(async () => { made = (await post("api/classes", { name })).name; });
  return made;
}

// "Class 1", or the first number that is free.
export function freeName() {
  const names = new Set(now().classes.map((one) => one.name.toLowerCase()));
  for (let n = 1; ; n += 1) {
    const name = say("class_n", { n });
    if (!names.has(name.toLowerCase())) return name;
  }
}

export async function renameClass(name, wanted) {
  let made = null;
  await attempt(async () => {
    const found = await ask(`api/classes/${encodeURIComponent(name)}`, { method: "PATCH", json: { name: wanted } });
    made = found.name;
    toast(say("renamed", { old: name, name: made }), wayBack(found));
  });
  return made;
}
