// The network in WebAssembly: pixels in, what it says of them out. See olhar_frame.h and olhar_run.h.

const GREY8 = 0;
const RGB888 = 1;
const [LOGITS, CLASSES, FEATURES, WIDTH] = [7, 8, 9, 10]; // words of a packed network's header

export class Network {
  // facts: size, channels, resize, views, temperature and outlier of the model, see olhar.native.web.
  constructor(engine, packed, neighbours, facts) {
    this.calls = engine.exports;
    this.facts = facts;
    this.end = this.calls.__heap_base.value;
    this.packed = this.put(packed);
    this.header = new Int32Array(this.calls.memory.buffer.slice(this.packed, this.packed + 56));
    this.weights = this.room(this.calls.olhar_weights_bytes(this.packed));
    this.arena = this.room(this.calls.olhar_arena_bytes(this.packed));
    this.calls.olhar_unpack(this.packed, this.weights);
    this.neighbours = neighbours;
  }

  // Memory for so many bytes.
  room(count) {
    const first = Math.ceil(this.end / 16) * 16;
    this.end = first + count;
    const missing = this.end - this.calls.memory.buffer.byteLength;
    if (missing > 0) this.calls.memory.grow(Math.ceil(missing / 65536));
    return first;
  }

  put(bytes) {
    const first = this.room(bytes.byteLength);
    new Uint8Array(this.calls.memory.buffer).set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), first);
    return first;
  }

  // { width, height, channels, pixels } → (size, size, channels) bytes, as the network sees them.
  frame({ width, height, channels, pixels }) {
    const { size, resize } = this.facts;
    const before = this.end;
    const format = channels === 1 ? GREY8 : RGB888;
    const framing = this.put(Int32Array.of(width, height, width * channels, format, size, this.facts.channels, resize));
    const given = this.put(pixels);
    const count = size * size * this.facts.channels;
    const scratch = this.room(this.calls.olhar_frame_scratch(framing));
    const out = this.room(count);
    this.calls.olhar_frame(framing, given, out, scratch);
    this.end = before;
    return new Uint8Array(this.calls.memory.buffer.slice(out, out + count));
  }

  // Pixels as the network sees them → { probabilities, distance }; distance is null where it warns of nothing.
  answer(seen) {
    const parts = viewsOf(seen, this.facts).map(([view, weight]) => [this.run(view), weight]);
    const mean = (name) => parts[0][0][name].map((_unused, at) => parts.reduce((sum, [one, weight]) => sum + weight * one[name][at], 0));
    const probabilities = softmax(mean("logits"), this.facts.temperature);
    const distance = this.neighbours ? this.distance(mean("features")) : null;
    return { probabilities, distance };
  }

  run(view) {
    const before = this.end;
    const given = this.put(view);
    this.calls.olhar_run(this.packed, this.weights, given, this.arena);
    this.end = before;
    const values = (place, count) => Float64Array.from(new Float32Array(this.calls.memory.buffer, this.arena + 4 * this.header[place], count));
    const features = this.header[FEATURES] < 0 ? new Float64Array() : values(FEATURES, this.header[WIDTH]);
    return { logits: values(LOGITS, this.header[CLASSES]), features };
  }

  // 1 - cosine to the k-th nearest of the training images that are kept.
  distance(features) {
    const { rows, scales, width } = this.neighbours;
    const last = features.slice(features.length - width); // those of earlier layers come before
    const length = Math.max(1e-12, Math.hypot(...last));
    const near = Array.from(scales, (scale, row) => {
      let sum = 0;
      for (let at = 0; at < width; at += 1) sum += last[at] * rows[row * width + at];
      return (sum * scale) / length;
    });
    near.sort((one, other) => other - one);
    return 1 - near[this.facts.outlier.neighbour - 1];
  }
}

// As olhar.native.answers.views_of: [pixels, weight] of each view.
function viewsOf(seen, { size, channels, views }) {
  const at = (y, x) => (y * size + x) * channels;
  const change = (place) => {
    const view = new Uint8Array(seen.length);
    for (let y = 0; y < size; y += 1) for (let x = 0; x < size; x += 1) {
      const from = place(y, x);
      for (let one = 0; one < channels; one += 1) view[at(y, x) + one] = seen[from + one];
    }
    return view;
  };
  const inside = (one) => (one < 0 ? -one : one >= size ? 2 * size - 2 - one : one);
  let shown = [[seen, 1]];
  if (views.endsWith("shift")) {
    shown = [[seen, 0.5], ...[-1, 1].map((by) => [change((y, x) => at(inside(y + by), inside(x + by))), 0.25])];
  }
  if (!views.startsWith("mirror")) return shown;
  const mirrored = shown.map(([view, weight]) => {
    const turned = new Uint8Array(view.length);
    for (let y = 0; y < size; y += 1) for (let x = 0; x < size; x += 1) for (let one = 0; one < channels; one += 1) {
      turned[at(y, x) + one] = view[at(y, size - 1 - x) + one];
    }
    return [turned, weight / 2];
  });
  return [...shown.map(([view, weight]) => [view, weight / 2]), ...mirrored];
}

function softmax(logits, temperature) {
  const most = Math.max(...logits);
  const shares = logits.map((one) => Math.exp((one - most) / temperature));
  const sum = shares.reduce((total, one) => total + one, 0);
  return Float64Array.from(shares, (one) => one / sum);
}
