// A PNG → its pixels, bit for bit as olhar.images reads them: no canvas, which rounds and may add noise.

import { NotRead } from "./notread.js";

const MAGIC = [137, 80, 78, 71, 13, 10, 26, 10];
const SAMPLES = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }; // of a pixel, by colour type
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
const DEPTHS = [8, 10, 12, 14, 16]; // of the sensors and scanners that there are

export const isPng = (bytes) => MAGIC.every((one, at) => bytes[at] === one);

// { width, height, channels, pixels, exif }; channels are 1 (grey) or 3, and exif the bytes of that chunk.
export async function readPng(bytes, mostPixels) {
  const head = readChunks(bytes, mostPixels);
  const raw = await inflate(head.data, head);
  const samples = head.interlaced ? spread(raw, head) : unfilter(raw, 0, head.width, head.height, head).rows;
  return { ...toPixels(samples, head), exif: head.exif };
}

function readChunks(bytes, mostPixels) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = { data: [], palette: null, transparent: null, declared: 0, exif: null };
  let seen = false;
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const end = at + 8 + length;
    if (end + 4 > bytes.length) break;
    const content = bytes.subarray(at + 8, end);
    const vital = name[0] < "a";
    if (vital && checksum(bytes.subarray(at + 4, end)) !== view.getUint32(end)) throw new NotRead("damaged");
    if (name === "IHDR") {
      readHeader(head, new DataView(content.buffer, content.byteOffset, content.length), mostPixels);
      seen = true;
    } else if (name === "PLTE") head.palette = content;
    else if (name === "tRNS") head.transparent = content;
    else if (name === "sBIT") head.declared = content[0];
    else if (name === "eXIf") head.exif = content;
    else if (name === "IDAT") head.data.push(content);
    else if (name === "IEND") break;
    at = end + 4;
  }
  if (!seen || !head.data.length || (head.type === 3 && !head.palette)) throw new NotRead("damaged");
  return head;
}

function readHeader(head, view, mostPixels) {
  head.width = view.getUint32(0);
  head.height = view.getUint32(4);
  head.depth = view.getUint8(8);
  head.type = view.getUint8(9);
  head.interlaced = view.getUint8(12) === 1;
  head.samples = SAMPLES[head.type];
  if (!head.samples || !head.width || !head.height) throw new NotRead("damaged");
  if (head.width * head.height > mostPixels) throw new NotRead("large", { width: head.width, height: head.height });
  head.step = Math.max(1, (head.samples * head.depth) >> 3); // bytes from a pixel to the next, for filters
}

const rowBytes = (width, head) => (width * head.samples * head.depth + 7) >> 3;

async function inflate(parts, head) {
  let needed = 0;
  for (const [, , width, height] of passes(head)) needed += height * (rowBytes(width, head) + 1);
  const out = new Uint8Array(needed);
  let at = 0;
  try {
    const reader = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
    while (at < needed) {
      const { done, value } = await reader.read();
      if (done) break;
      out.set(value.subarray(0, needed - at), at);
      at += value.length;
    }
    reader.cancel().catch(() => {});
  } catch {
    throw new NotRead("damaged");
  }
  if (at < needed) throw new NotRead("damaged");
  return out;
}

// [first column, first row, columns, rows, step across, step down] of each pass that has pixels.
function passes(head) {
  if (!head.interlaced) return [[0, 0, head.width, head.height, 1, 1]];
  const found = PASSES.map(([x, y, dx, dy]) => [x, y, Math.ceil((head.width - x) / dx), Math.ceil((head.height - y) / dy), dx, dy]);
  return found.filter(([, , width, height]) => width > 0 && height > 0);
}

// PNG 3rd edition, 9.2: each row is said as differences from what lies left, above and above left.
function unfilter(raw, from, width, height, head) {
  const length = rowBytes(width, head);
  const { step } = head;
  const rows = new Uint8Array(length * height);
  let before = new Uint8Array(length);
  for (let y = 0; y < height; y += 1, from += length + 1) {
    const kind = raw[from];
    const row = rows.subarray(y * length, (y + 1) * length);
    row.set(raw.subarray(from + 1, from + 1 + length));
    if (kind === 1) for (let x = step; x < length; x += 1) row[x] += row[x - step];
    else if (kind === 2) for (let x = 0; x < length; x += 1) row[x] += before[x];
    else if (kind === 3) for (let x = 0; x < length; x += 1) row[x] += ((x < step ? 0 : row[x - step]) + before[x]) >> 1;
    else if (kind === 4) for (let x = 0; x < length; x += 1) {
      const left = x < step ? 0 : row[x - step];
      const corner = x < step ? 0 : before[x - step];
      const guess = left + before[x] - corner;
      const byLeft = Math.abs(guess - left);
      const byUp = Math.abs(guess - before[x]);
      const byCorner = Math.abs(guess - corner);
      row[x] += byLeft <= byUp && byLeft <= byCorner ? left : byUp <= byCorner ? before[x] : corner;
    } else if (kind) throw new NotRead("damaged");
    before = row;
  }
  return { rows, next: from };
}

// Of an interlaced image: the rows of all passes, as if it were none, with whole bytes for each sample.
function spread(raw, head) {
  const wide = head.depth === 16 ? 2 : 1;
  const out = new Uint8Array(head.width * head.height * head.samples * wide);
  let from = 0;
  for (const [x0, y0, width, height, dx, dy] of passes(head)) {
    const { rows, next } = unfilter(raw, from, width, height, head);
    const flat = head.depth < 8 ? unpackBits(rows, width, height, head) : rows;
    const pixel = head.samples * wide;
    for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) {
      const to = ((y0 + y * dy) * head.width + x0 + x * dx) * pixel;
      const at = (y * width + x) * pixel;
      for (let one = 0; one < pixel; one += 1) out[to + one] = flat[at + one];
    }
    from = next;
  }
  head.unpacked = head.depth < 8;
  return out;
}

function unpackBits(rows, width, height, head) {
  const length = rowBytes(width, head);
  const out = new Uint8Array(width * height);
  const mask = (1 << head.depth) - 1;
  for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) {
    const bit = x * head.depth;
    out[y * width + x] = (rows[y * length + (bit >> 3)] >> (8 - head.depth - (bit & 7))) & mask;
  }
  return out;
}

function toPixels(rows, head) {
  const { width, height, type, depth, transparent } = head;
  const count = width * height;
  const values = depth < 8 && !head.unpacked ? unpackBits(rows, width, height, head) : depth === 16 ? join(rows) : rows;
  const clear = (transparent && type !== 3) ? [0, 2, 4].map((at) => (transparent[at] << 8) | transparent[at + 1]) : null;
  const grey = type === 0 || type === 4;
  const channels = grey ? 1 : 3;
  const pixels = new Uint8Array(count * channels);
  if (type === 3) {
    for (let at = 0; at < count; at += 1) {
      const entry = values[at];
      const opacity = transparent && entry < transparent.length ? transparent[entry] : 255;
      for (let one = 0; one < 3; one += 1) pixels[3 * at + one] = onWhite(head.palette[3 * entry + one] ?? 0, opacity);
    }
    return { width, height, channels, pixels };
  }
  // Of 16 bits the highest 8 in use are kept.
  const shift = depth === 16 ? usedBits(values, head, clear) - 8 : 0;
  const scale = depth < 8 ? 255 / ((1 << depth) - 1) : 1;
  const { samples } = head;
  for (let at = 0; at < count; at += 1) {
    let opacity = 255;
    if (samples === 2 || samples === 4) opacity = values[samples * at + samples - 1] >> (depth === 16 ? 8 : 0);
    else if (clear && isClear(values, samples * at, clear, channels)) opacity = 0;
    for (let one = 0; one < channels; one += 1) {
      pixels[channels * at + one] = onWhite((values[samples * at + one] >> shift) * scale, opacity);
    }
  }
  return { width, height, channels, pixels };
}

function isClear(values, at, clear, channels) {
  for (let one = 0; one < channels; one += 1) if (values[at + one] !== clear[one]) return false;
  return true;
}

function join(rows) {
  const values = new Uint16Array(rows.length / 2);
  for (let at = 0; at < values.length; at += 1) values[at] = (rows[2 * at] << 8) | rows[2 * at + 1];
  return values;
}

// As olhar.depth: by what the file says, else by the greatest value; with opacity always 16.
function usedBits(values, head, clear) {
  if (head.samples === 2 || head.samples === 4 || (clear && head.samples === 3)) return 16;
  let most = 0;
  for (const value of values) if (value > most && !(clear && value === clear[0])) most = value;
  const needed = Math.max(head.declared, 32 - Math.clz32(most));
  return DEPTHS.find((bits) => needed <= bits) ?? 16;
}

// Pillow's rounding.
function onWhite(value, opacity) {
  if (opacity === 255) return value;
  const sum = 255 * (255 - opacity) + value * opacity + 128;
  return ((sum >> 8) + sum) >> 8;
}

const TABLE = Uint32Array.from({ length: 256 }, (_unused, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function checksum(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = (value >>> 8) ^ TABLE[(value ^ byte) & 255];
  return (value ^ 0xffffffff) >>> 0;
}
