// What this page has changed, the latest last: it takes back its own changes alone, also after it was loaded again.

const KEY = "olhar-done";
const MOST = 100;
const fresh = new Set(); // ids that no state has told yet
let ids = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");

function keep(found) {
  ids = found.slice(-MOST);
  sessionStorage.setItem(KEY, JSON.stringify(ids));
}

export function remember(made) {
  for (const id of made) fresh.add(id);
  keep([...ids, ...made]);
}

export function forget(gone) {
  fresh.delete(gone);
  keep(ids.filter((id) => id !== gone));
}

// `undo`: what the server can take back, by id.
export function settle(undo) {
  for (const id of Object.keys(undo)) fresh.delete(id);
  keep(ids.filter((id) => id in undo || fresh.has(id)));
}

export const latest = () => ids.at(-1) ?? null;
