// Files that are dropped anywhere on the page: folders are opened, without what systems hide in them.

const HIDDEN = /^(\.|__MACOSX$)/;

// `given(files)` gets them, an empty list where there was none. A veil lies over the page meanwhile.
export function listenToDrops(given) {
  const veil = document.getElementById("veil");
  let over = 0; // dragenter comes once for every element on the way
  const cover = (open) => { veil.hidden = !open; if (!open) over = 0; };
  document.addEventListener("dragenter", () => { over += 1; cover(true); });
  document.addEventListener("dragleave", () => { over -= 1; if (over <= 0) cover(false); });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    cover(false);
    given(await dropped(event.dataTransfer));
  });
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const files = [];
  for (const entry of entries) await walk(entry, files);
  return files;
}

async function walk(entry, files) {
  if (HIDDEN.test(entry.name)) return;
  if (entry.isFile) {
    files.push(await new Promise((done, failed) => entry.file(done, failed)));
    return;
  }
  const reader = entry.createReader(); // gives at most 100 at a time
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const one of some) await walk(one, files);
  }
}
