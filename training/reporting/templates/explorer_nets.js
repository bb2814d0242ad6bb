'use strict';
// The worker of the page: runs the nets, and reads pictures as they see them. Typed arrays only.
// Pictures are bytes (h, w, c), as files have them; what a net takes and gives is (c, h, w).

const nets = [];

// What the page holds: deflated, in base64, 16-bit floats as all low bytes, then all high ones.

async function inflate(text) {
  const decoded = atob(text);
  const bytes = new Uint8Array(decoded.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = decoded.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function halfFloats() {  // all 65,536 of them: looking one up is faster than computing it
  const values = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = bits >> 10 & 31;
    const fraction = bits & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    values[bits] = bits >> 15 ? -size : size;
  }
  return values;
}

async function read(text, halves) {
  const bytes = await inflate(text);
  const n = bytes.length / 2;
  const values = new Float32Array(n);
  for (let i = 0; i < n; i++) values[i] = halves[bytes[i] | bytes[n + i] << 8];
  return values;
}

async function load({ parts, values }) {
  const all = await read(values, load.halves ??= halfFloats());
  let at = 0;
  const net = { layout: parts.layout, shape: parts.shape };
  for (const name of ['encoder', 'decoder']) {
    net[name] = parts[name]?.map(layer => ({ ...layer, arrays: layer.arrays.map(({ size, scale }) => {
      const array = all.subarray(at, at += size);
      for (let i = 0; i < size; i++) array[i] *= scale;
      return array;
    }) }));
  }
  nets.push(net);
}

// Layers: each takes and gives a Float32Array.

function dot(weight, start, x, n) {  // four sums, for one would wait for itself
  let a = 0, b = 0, c = 0, d = 0, i = 0;
  for (; i + 3 < n; i += 4) {
    a += weight[start + i] * x[i];
    b += weight[start + i + 1] * x[i + 1];
    c += weight[start + i + 2] * x[i + 2];
    d += weight[start + i + 3] * x[i + 3];
  }
  for (; i < n; i++) a += weight[start + i] * x[i];
  return a + b + c + d;
}

function dense({ arrays: [weight, bias] }, x) {
  const y = new Float32Array(bias.length);
  for (let o = 0; o < y.length; o++) y[o] = bias[o] + dot(weight, o * x.length, x, x.length);
  return y;
}

function conv({ arrays: [weight, bias], takes: [channels, height, width], gives: [out, rows, columns], kernel, stride, pad }, x) {
  const y = new Float32Array(out * rows * columns);
  const patch = new Float32Array(channels * kernel * kernel);  // of all channels, below one output
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
    let at = 0;
    for (let c = 0; c < channels; c++) for (let i = 0; i < kernel; i++) {
      const down = row * stride - pad + i;
      for (let j = 0; j < kernel; j++, at++) {
        const right = column * stride - pad + j;
        const inside = down >= 0 && down < height && right >= 0 && right < width;
        patch[at] = inside ? x[(c * height + down) * width + right] : 0;
      }
    }
    for (let o = 0; o < out; o++) {
      y[(o * rows + row) * columns + column] = bias[o] + dot(weight, o * at, patch, at);
    }
  }
  return y;
}

function deconv({ arrays: [weight, bias], takes: [channels, height, width], gives: [out, rows, columns], kernel, stride, pad }, x) {
  const y = new Float32Array(out * rows * columns);
  for (let o = 0; o < out; o++) y.fill(bias[o], o * rows * columns, (o + 1) * rows * columns);
  const n = out * kernel * kernel;
  const patch = new Float32Array(n);  // of all outputs, what one pixel adds to them
  const lit = new Int32Array(channels);
  for (let row = 0; row < height; row++) for (let column = 0; column < width; column++) {
    let n_lit = 0;  // after relu half of the channels are 0 and add nothing
    for (let c = 0; c < channels; c++) if (x[(c * height + row) * width + column]) lit[n_lit++] = c;
    const value = i => i < n_lit ? x[(lit[i] * height + row) * width + column] : 0;
    const start = i => i < n_lit ? lit[i] * n : 0;
    patch.fill(0);
    for (let i = 0; i < n_lit; i += 4) {  // four at a time, for reading sums back costs as much
      const a = value(i), b = value(i + 1), c = value(i + 2), d = value(i + 3);
      const p = start(i), q = start(i + 1), r = start(i + 2), s = start(i + 3);
      for (let j = 0; j < n; j++) {
        patch[j] += a * weight[p + j] + b * weight[q + j] + c * weight[r + j] + d * weight[s + j];
      }
    }
    for (let o = 0, at = 0; o < out; o++) for (let i = 0; i < kernel; i++) {
      const down = row * stride - pad + i;
      const left = column * stride - pad;
      const begin = (o * rows + down) * columns + left;
      for (let j = 0; j < kernel; j++, at++) {
        if (down >= 0 && down < rows && left + j >= 0 && left + j < columns) y[begin + j] += patch[at];
      }
    }
  }
  return y;
}

function scale({ arrays: [factor, offset] }, x) {
  const each = x.length / factor.length;  // values of a channel
  return x.map((value, i) => value * factor[i / each | 0] + offset[i / each | 0]);
}

const LAYERS = {
  dense, conv, deconv, scale,
  relu: (_, x) => x.map(value => value > 0 ? value : 0),
  leaky: ({ slope }, x) => x.map(value => value > 0 ? value : slope * value),
  sigmoid: (_, x) => x.map(value => 1 / (1 + Math.exp(-value))),
  tanh: (_, x) => x.map(Math.tanh),
};

const run = (layers, x) => layers.reduce((values, layer) => LAYERS[layer.kind](layer, values), x);

// From the bytes of a picture to a net's floats, and back. Published nets saw the bytes of a row
// cut anew instead of planes of colour: then the order is the same on both sides.

function place(layout, [channels, height, width], i) {  // of value i of a picture, in the net's array
  return layout === 'reshape' ? i : i % channels * height * width + (i / channels | 0);
}

function encode({ net, pixels }) {
  const { encoder, layout, shape } = nets[net];
  const x = new Float32Array(pixels.length);
  for (let i = 0; i < x.length; i++) x[place(layout, shape, i)] = pixels[i] / 255;
  const code = run(encoder, x);
  return { mean: code.slice(0, code.length / 2), logvar: code.slice(code.length / 2) };
}

function decode(net, z) {
  const { decoder, layout, shape } = nets[net];
  const y = run(decoder, z);
  const pixels = new Uint8ClampedArray(y.length);  // it rounds, and clips to 0 .. 255
  for (let i = 0; i < y.length; i++) pixels[i] = 255 * y[place(layout, shape, i)];
  return pixels;
}

// Measures, as the project's tables have them.

function edgeSharpness(pixels, [channels, height, width]) {
  const grey = new Float64Array(height * width);
  for (let i = 0; i < pixels.length; i++) grey[i / channels | 0] += pixels[i] / 255 / channels;
  let sum = 0;
  for (let i = 0; i < height - 1; i++) for (let j = 0; j < width - 1; j++) {
    const at = i * width + j;
    sum += Math.hypot(grey[at + width] - grey[at], grey[at + 1] - grey[at]);
  }
  return sum / (height - 1) / (width - 1);
}

function compare(drawn, original, shape) {
  let sum = 0;
  for (let i = 0; i < drawn.length; i++) sum += ((drawn[i] - original[i]) / 255) ** 2;
  const error = sum / drawn.length;
  const sharpness = edgeSharpness(original, shape);
  return { error, psnr: -10 * Math.log10(error),
    sharpness: sharpness > 1e-12 ? edgeSharpness(drawn, shape) / sharpness : NaN };
}

function draw({ latents, original }) {  // latents: by net, none of a net that is not to draw
  return latents.map((z, net) => {
    if (!z) return null;
    const pixels = decode(net, z);
    return { pixels, ...original && compare(pixels, original, nets[net].shape) };
  });
}

// A picture of the user's: upright, the square in its middle, scaled as the project's commands do.

const MIN_SIDE = 16;  // pixels
const LOBES = 3;       // of the Lanczos window

function cut(length, edge, reach) {  // first pixel taken, their number, and where the square begins
  const begin = (length - edge) / 2;
  const first = Math.max(0, Math.floor(begin - reach));
  return [first, Math.min(length, Math.ceil(begin + edge + reach)) - first, begin - first];
}

async function fit({ file, shape: [channels, side] }) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image', colorSpaceConversion: 'none' });
  } catch {
    return { problem: 'not a picture that this browser can read' };
  }
  const { width, height } = bitmap;
  if (Math.min(width, height) < MIN_SIDE) return { problem: `${width} x ${height} pixels, expected ${MIN_SIDE} or more a side` };
  const edge = Math.min(width, height);
  const reach = Math.ceil(LOBES * Math.max(1, edge / side)) + 1;  // how far the scaling looks beyond
  const [left, columns, x] = cut(width, edge, reach);
  const [top, rows, y] = cut(height, edge, reach);
  const context = new OffscreenCanvas(columns, rows).getContext('2d', { willReadFrequently: true });
  context.fillStyle = '#ffffff';  // what is transparent shows white
  context.fillRect(0, 0, columns, rows);
  context.drawImage(bitmap, -left, -top);
  bitmap.close();
  const { data } = context.getImageData(0, 0, columns, rows);
  const pixels = channels === 1 ? greyOf(data) : data;
  const across = resize(pixels, rows, columns, channels === 1 ? 1 : 4, channels, x, edge, side);
  const down = resize(turned(across, rows, side, channels), side, rows, channels, channels, y, edge, side);
  return { pixels: turned(down, side, side, channels), width, height };
}

function greyOf(data) {  // ITU-R 601, in whole numbers
  const grey = new Uint8ClampedArray(data.length / 4);
  for (let i = 0; i < grey.length; i++) {
    grey[i] = (19595 * data[4 * i] + 38470 * data[4 * i + 1] + 7471 * data[4 * i + 2] + 32768) >> 16;
  }
  return grey;
}

function lanczos(x) {
  if (x === 0) return 1;
  const at = Math.PI * x;
  return Math.abs(x) < LOBES ? LOBES * Math.sin(at) * Math.sin(at / LOBES) / at ** 2 : 0;
}

// Rows of so many columns become rows of `side`, of `edge` columns from `start` on. step: values
// from one column to the next, of which the first `channels` are taken.
function resize(pixels, rows, columns, step, channels, start, edge, side) {
  const out = new Uint8ClampedArray(rows * side * channels);
  const ratio = edge / side;
  const wide = Math.max(1, ratio);
  for (let j = 0; j < side; j++) {
    const centre = start + (j + 0.5) * ratio;
    const first = Math.max(0, Math.trunc(centre - LOBES * wide + 0.5));
    const weights = [];
    for (let k = first; k < Math.min(columns, Math.trunc(centre + LOBES * wide + 0.5)); k++) {
      weights.push(lanczos((k - centre + 0.5) / wide));
    }
    const sum = weights.reduce((a, b) => a + b);
    for (let row = 0; row < rows; row++) for (let c = 0; c < channels; c++) {
      let value = 0;
      for (let k = 0, at = (row * columns + first) * step + c; k < weights.length; k++, at += step) {
        value += weights[k] * pixels[at];
      }
      out[(row * side + j) * channels + c] = value / sum;
    }
  }
  return out;
}

function turned(pixels, rows, columns, channels) {  // rows become columns
  const out = new Uint8ClampedArray(pixels.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) for (let c = 0; c < channels; c++) {
    out[(j * rows + i) * channels + c] = pixels[(i * columns + j) * channels + c];
  }
  return out;
}

const ASKED = { load, encode, draw, fit, inflate: ({ text }) => inflate(text) };

let before = Promise.resolve();  // one thing after the other, as they were asked for
self.onmessage = ({ data: { id, what, ...asked } }) => {
  before = before.then(async () => {
    try {
      self.postMessage({ id, answer: await ASKED[what](asked) });
    } catch (error) {
      self.postMessage({ id, failed: String(error) });
    }
  });
};
