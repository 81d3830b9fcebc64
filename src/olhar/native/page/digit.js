// Strokes of a pen → the small image that the network takes, as olhar.serving.drawing makes it.

const FINER = 16; // a drawing is made so many times finer, then reduced

// As Python rounds: a half goes to the even number.
const nearest = (value) => (Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));

// style: { field, box, pen, byMass, dark }; dark: the ink is dark on light.
export function drawSmall(strokes, style) {
  const ink = paint(strokes, style);
  const small = fit(ink, style);
  const field = place(small, style);
  const pixels = style.dark ? field.map((one) => 255 - one) : field;
  return { width: style.field, height: style.field, channels: 1, pixels, from: [style.field, style.field] };
}

// No canvas: some browsers add noise to what is read of one.
function paint(strokes, { box, pen }) {
  const points = strokes.flat();
  const lows = [0, 1].map((axis) => Math.min(...points.map((point) => point[axis])));
  const longest = Math.max(...[0, 1].map((axis) => Math.max(...points.map((point) => point[axis])) - lows[axis]));
  const side = Math.round(box * FINER);
  const radius = (pen * FINER) / 2;
  const scale = longest ? (side - 2 * radius) / longest : 0;
  const ink = new Uint8Array(side * side);
  const placed = (point) => [0, 1].map((axis) => (point[axis] - lows[axis]) * scale + radius);
  for (const stroke of strokes) {
    stroke.forEach((point, at) => line(ink, side, placed(stroke[Math.max(0, at - 1)]), placed(point), radius));
  }
  return { side, ink };
}

// All pixels whose centre is no farther than the radius from the line between two points.
function line(ink, side, [x0, y0], [x1, y1], radius) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const squared = dx * dx + dy * dy;
  const [left, top] = [Math.min(x0, x1), Math.min(y0, y1)].map((one) => Math.max(0, Math.floor(one - radius)));
  const [right, bottom] = [Math.max(x0, x1), Math.max(y0, y1)].map((one) => Math.min(side, Math.ceil(one + radius)));
  for (let y = top; y < bottom; y += 1) for (let x = left; x < right; x += 1) {
    const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
    const along = squared ? Math.min(1, Math.max(0, (px * dx + py * dy) / squared)) : 0;
    const [ax, ay] = [px - along * dx, py - along * dy];
    if (ax * ax + ay * ay <= radius * radius) ink[y * side + x] = 255;
  }
}

// The ink alone, its longer side as long as the box; each pixel the mean of what it covers.
function fit({ side, ink }, { box }) {
  let [left, top, right, bottom] = [side, side, 0, 0];
  for (let y = 0; y < side; y += 1) for (let x = 0; x < side; x += 1) {
    if (!ink[y * side + x]) continue;
    left = Math.min(left, x);
    right = Math.max(right, x + 1);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y + 1);
  }
  const [wide, high] = [Math.max(1, right - left), Math.max(1, bottom - top)];
  const scale = box / Math.max(wide, high);
  const [width, height] = [wide, high].map((one) => Math.max(1, nearest(one * scale)));
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) {
    const [x0, x1] = [x, x + 1].map((one) => Math.round((one * wide) / width));
    const [y0, y1] = [y, y + 1].map((one) => Math.round((one * high) / height));
    let sum = 0;
    for (let row = y0; row < y1; row += 1) for (let column = x0; column < x1; column += 1) sum += ink[(top + row) * side + left + column];
    pixels[y * width + x] = nearest(sum / Math.max(1, (x1 - x0) * (y1 - y0)));
  }
  return { width, height, pixels };
}

// Into the middle of the field: by its mass, or by the box around it.
function place({ width, height, pixels }, { field, byMass }) {
  let top = Math.floor((field - height) / 2);
  let left = Math.floor((field - width) / 2);
  if (byMass) {
    let [mass, down, across] = [0, 0, 0];
    for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) {
      const one = pixels[y * width + x];
      mass += one;
      down += one * y;
      across += one * x;
    }
    const middle = Math.floor(field / 2);
    top = nearest(middle - down / Math.max(1, mass));
    left = nearest(middle - across / Math.max(1, mass));
  }
  top = Math.min(Math.max(top, 0), field - height);
  left = Math.min(Math.max(left, 0), field - width);
  const image = new Uint8Array(field * field);
  for (let y = 0; y < height; y += 1) image.set(pixels.subarray(y * width, (y + 1) * width), (top + y) * field + left);
  return image;
}
