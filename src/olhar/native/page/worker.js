// Beside the page, so that it never waits: reads pictures, and asks the network.

import { Network } from "./network.js";
import { NotRead } from "./notread.js";
import { readBitmap, readPicture } from "./pictures.js";

let network = null;

// Base64 of a zlib stream → its bytes.
async function unfold(given) {
  const packed = Uint8Array.from(atob(given), (one) => one.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function start({ engine, packed, neighbours, facts }) {
  const { instance } = await WebAssembly.instantiate(await unfold(engine), {});
  network = new Network(instance, await unfold(packed), neighbours ? readNeighbours(await unfold(neighbours), facts) : null, facts);
}

// A scale of 32 bits for each row, then all rows in 8 bits.
function readNeighbours(bytes, { outlier: { rows, width } }) {
  const scales = new Float32Array(bytes.slice(0, 4 * rows).buffer);
  return { scales, rows: new Int8Array(bytes.buffer, 4 * rows, rows * width), width };
}

async function look({ blob, bitmap, drawing }) {
  const { size } = network.facts;
  const picture = blob ? await readPicture(blob, size) : bitmap ? await readBitmap(bitmap) : drawing;
  const seen = network.frame(picture);
  const before = performance.now();
  const answer = network.answer(seen);
  return { ...answer, seen, from: picture.from, ms: performance.now() - before };
}

async function answer({ id, ...question }) {
  try {
    const done = question.start ? await start(question.start) : await look(question);
    self.postMessage({ id, done: done ?? true });
  } catch (error) {
    const known = error instanceof NotRead;
    self.postMessage({ id, failed: known ? error.code : "broken", values: known ? error.values : { reason: String(error) } });
  }
}

// One after the other: a hundred photos that are decoded at once would fill the memory.
let last = Promise.resolve();
self.onmessage = ({ data }) => { last = last.then(() => answer(data)); };
