// A file, or a frame of the camera → upright pixels of one or three channels, as olhar.images reads them.

import { isPng, readPng } from "./png.js";
import { NotRead } from "./notread.js";

const MOST_PIXELS = 100_000_000;
const STRIP = 512; // rows that are read at once: browsers limit the size of a canvas

// What browsers often cannot read, by its first bytes.
const KINDS = [
  ["TIFF", (bytes) => ["II*\0", "MM\0*"].includes(text(bytes, 0, 4))],
  ["HEIC", (bytes) => text(bytes, 4, 8) === "ftyp" && /^(hei|hev|mif1|msf1)/.test(text(bytes, 8, 12))],
  ["AVIF", (bytes) => text(bytes, 4, 8) === "ftyp" && /^avi/.test(text(bytes, 8, 12))],
  ["JPEG 2000", (bytes) => text(bytes, 4, 8) === "jP  "],
  ["PDF", (bytes) => text(bytes, 0, 4) === "%PDF"],
];
const text = (bytes, from, to) => String.fromCharCode(...bytes.subarray(from, to));

// blob → { width, height, channels, pixels } of the photo, a large JPEG already reduced, and `from`: its own
// width and height. `side`: that of the network's input.
export async function readPicture(blob, side) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  if (!bytes.length) throw new NotRead("empty");
  if (isPng(bytes)) {
    const { exif, ...picture } = await readPng(bytes, MOST_PIXELS);
    const own = { ...picture, from: [picture.width, picture.height] };
    return exif ? turn(own, orientation(exif)) : own;
  }
  let bitmap;
  try {
    const options = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };
    bitmap = await createImageBitmap(new Blob([bytes], { type: blob.type }), options);
  } catch {
    const [kind] = KINDS.find(([, fits]) => fits(bytes)) ?? [""];
    throw new NotRead(kind ? "kind" : "no_photo", { kind });
  }
  const isJpeg = bytes[0] === 0xff && bytes[1] === 0xd8;
  return readBitmap(bitmap, isJpeg ? reduction(bitmap, 2 * side) : 1);
}

// By how much Pillow's draft mode would reduce a JPEG whose shortest side may not fall below `least`.
function reduction({ width, height }, least) {
  const room = Math.min(Math.floor(width / least), Math.floor(height / least));
  return [8, 4, 2].find((one) => room >= one) ?? 1;
}

// Whether this browser gives a page the pixels that it drew. Against tracking some add noise, which does no
// harm while it is faint, and some give other pixels altogether.
let honest = null;
async function checkHonesty() {
  const drawn = new ImageData(16, 16);
  for (let at = 0; at < drawn.data.length; at += 1) drawn.data[at] = at % 4 === 3 ? 255 : (at * 37) % 251;
  const bitmap = await createImageBitmap(drawn);
  const brush = new OffscreenCanvas(16, 16).getContext("2d", { willReadFrequently: true, alpha: false });
  brush.drawImage(bitmap, 0, 0);
  const { data } = brush.getImageData(0, 0, 16, 16);
  let apart = 0;
  for (let at = 0; at < data.length; at += 1) apart += Math.abs(data[at] - drawn.data[at]);
  return apart / data.length < 1;
}

// An ImageBitmap on white → pixels; each of them the mean of a block of `block` × `block`.
export async function readBitmap(bitmap, block = 1) {
  const { width, height } = bitmap;
  honest ??= await checkHonesty();
  if (!honest) throw new NotRead("noise");
  if (width * height > MOST_PIXELS) throw new NotRead("large", { width, height });
  const small = { width: Math.ceil(width / block), height: Math.ceil(height / block) };
  const pixels = new Uint8Array(small.width * small.height * 3);
  const rows = Math.min(STRIP, height);
  const canvas = new OffscreenCanvas(width, rows);
  const brush = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    brush.fillStyle = "#fff";
    brush.fillRect(0, 0, width, rows);
    brush.drawImage(bitmap, 0, -top);
    const { data } = brush.getImageData(0, 0, width, count);
    reduce(data, width, count, block, pixels, (top / block) * small.width * 3);
  }
  bitmap.close();
  return { ...small, channels: 3, pixels, from: [width, height] };
}

function reduce(data, width, height, block, pixels, at) {
  if (block === 1) {
    for (let from = 0; from < data.length; from += 4, at += 3) {
      pixels[at] = data[from];
      pixels[at + 1] = data[from + 1];
      pixels[at + 2] = data[from + 2];
    }
    return;
  }
  const sums = new Uint32Array(Math.ceil(width / block) * 3);
  for (let top = 0; top < height; top += block) {
    const bottom = Math.min(height, top + block);
    sums.fill(0);
    for (let y = top; y < bottom; y += 1) {
      for (let x = 0, from = 4 * y * width; x < width; x += 1, from += 4) {
        const to = 3 * Math.floor(x / block);
        sums[to] += data[from];
        sums[to + 1] += data[from + 1];
        sums[to + 2] += data[from + 2];
      }
    }
    for (let to = 0; to < sums.length; to += 1, at += 1) {
      const left = Math.floor(to / 3) * block;
      const count = (bottom - top) * (Math.min(width, left + block) - left);
      pixels[at] = Math.floor((sums[to] + (count >> 1)) / count);
    }
  }
}

// The orientation, 1 to 8, that the bytes of EXIF name (EXIF 2.32, 4.6.4 A); 1 where they name none.
function orientation(exif) {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.length);
  try {
    const little = view.getUint16(0) === 0x4949;
    const first = view.getUint32(4, little);
    for (let at = first + 2, left = view.getUint16(first, little); left > 0; left -= 1, at += 12) {
      if (view.getUint16(at, little) === 0x0112) return view.getUint16(at + 8, little);
    }
  } catch {
    // damaged EXIF: the picture may well be whole
  }
  return 1;
}

function turn(picture, way) {
  if (way < 2 || way > 8) return picture;
  const { width, height, channels, pixels } = picture;
  const swaps = way > 4;
  const [wide, high] = swaps ? [height, width] : [width, height];
  const out = new Uint8Array(pixels.length);
  const mirrored = [2, 3, 7, 8].includes(way);
  const flipped = [3, 4, 6, 7].includes(way);
  for (let y = 0; y < high; y += 1) for (let x = 0; x < wide; x += 1) {
    // Column and row where the pixel lies in the file.
    const column = swaps ? y : x;
    const row = swaps ? x : y;
    const fromX = mirrored ? width - 1 - column : column;
    const fromY = flipped ? height - 1 - row : row;
    for (let one = 0; one < channels; one += 1) {
      out[(y * wide + x) * channels + one] = pixels[(fromY * width + fromX) * channels + one];
    }
  }
  return { ...picture, width: wide, height: high, pixels: out, from: [wide, high] };
}
