'use strict';
// What one sees and moves. The nets run in a worker (explorer_nets.js), so that nothing waits here.

const element = id => document.getElementById(id);
const groups = JSON.parse(element('data').textContent);
const status = element('status');
const MEASURES = { kl: 'KL', error: 'squared error', psnr: 'PSNR, dB', sharpness: 'sharpness' };
const SECONDS = 4;  // of a walk that is played
const OWN = 'own';  // in place of a held-out picture's number

const worker = new Worker(URL.createObjectURL(
  new Blob([element('worker').textContent], { type: 'text/javascript' })));
const waiting = new Map();
let n_asked = 0;
worker.onmessage = ({ data: { id, answer, failed } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (failed) reject(new Error(failed)); else resolve(answer);
};

function ask(what, asked = {}) {
  return new Promise((resolve, reject) => {
    waiting.set(n_asked, { resolve, reject });
    worker.postMessage({ id: n_asked++, what, ...asked });
  });
}

// What is drawn: `base` is a picture (`picture`: its number, or OWN), a part of the way between
// two (`first`, `last`, `part`) or a sample (`z`); `shift` is what the sliders add to it.

const state = { group: groups[0], lead: groups[0].nets[0], base: null, shift: null };

function code(net, picture) {  // mean and logvar of a picture by a net, or nothing
  if (picture === OWN) return net.own;
  if (!net.codes || picture === undefined) return undefined;
  const { latents, pictures } = state.group;
  const at = picture * latents;
  return { mean: net.held.subarray(at, at + latents),
    logvar: net.held.subarray(pictures * latents + at, pictures * latents + at + latents) };
}

function baseOf(net) {  // a net's latents before the sliders, or nothing if it has none
  const { z, picture, first, last, part } = state.base;
  if (z) return z;
  if (picture !== undefined) return code(net, picture)?.mean;
  const [from, to] = [code(net, first)?.mean, code(net, last)?.mean];
  return from && to && from.map((value, i) => value + part * (to[i] - value));
}

const latentsOf = net => baseOf(net)?.map((value, i) => value + state.shift[i]);

function pictureOf({ picture, first, last, part }) {  // the one that is drawn again, or nothing
  return picture ?? (part === 0 ? first : part === 1 ? last : undefined);
}

function pixelsOf(picture) {
  if (picture === undefined) return null;
  if (picture === OWN) return state.group.own.pixels;
  const size = state.group.shape.reduce((a, b) => a * b);
  return state.group.held.subarray(picture * size, (picture + 1) * size);
}

const nameOf = picture => picture === OWN ? 'your picture' : `picture ${picture + 1}`;

// Drawing

let drawing = false;
let again = false;

async function redraw() {  // always with what holds now, not once for each move of a slider
  again = true;
  if (drawing) return;
  drawing = true;
  while (again) {
    again = false;
    const { group, base } = state;
    const picture = pictureOf(base);
    const latents = [];
    for (const net of group.nets) latents[net.place] = latentsOf(net);
    const original = pixelsOf(picture);
    const drawn = await ask('draw', { latents, original });
    if (group === state.group) show(drawn, picture, original);
  }
  drawing = false;
}

function show(drawn, picture, original) {
  const { nets, shape, figure } = state.group;
  put(figure, original, shape, picture === undefined ? 'none: drawn from latents alone' : '');
  figure.name.textContent = picture === undefined ? 'original' : `original: ${nameOf(picture)}`;
  for (const net of nets) {
    const made = drawn[net.place];
    put(net.figure, made?.pixels, shape, net.absent || 'draws samples only');
    const own = code(net, picture);
    const values = { kl: own && klOf(own).toFixed(1), error: made?.error?.toFixed(4),
      psnr: made?.psnr?.toFixed(2), sharpness: made?.sharpness?.toFixed(2) };
    for (const name of Object.keys(MEASURES)) net.figure.measures[name].textContent = values[name] ?? '–';
  }
}

function klOf({ mean, logvar }) {
  let sum = 0;
  for (let i = 0; i < mean.length; i++) sum += (mean[i] ** 2 + Math.exp(logvar[i]) - 1 - logvar[i]) / 2;
  return sum;
}

function put({ canvas, note }, pixels, shape, why) {
  canvas.hidden = !pixels;
  note.textContent = pixels ? '' : why;
  if (pixels) paint(canvas, pixels, shape);
}

function paint(canvas, pixels, [channels, height, width]) {
  const image = new ImageData(width, height);
  for (let i = 0; i < height * width; i++) for (let c = 0; c < 4; c++) {
    image.data[4 * i + c] = c === 3 ? 255 : pixels[channels * i + c % channels];
  }
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext('2d', { willReadFrequently: true }).putImageData(image, 0, 0);
}

function made(tag, attributes = {}, ...children) {
  const one = Object.assign(document.createElement(tag), attributes);
  one.append(...children);
  return one;
}

function figureOf(title, about, measured) {
  const canvas = made('canvas', { role: 'img', ariaLabel: about, width: 1, height: 1, hidden: true });
  const note = made('span');
  const name = made('strong', { textContent: title });
  const measures = {};
  const lines = Object.entries(measured).map(([key, text]) => made('div', {}, made('dt', { textContent: text }),
    measures[key] = made('dd', { textContent: '–' })));
  const caption = made('figcaption', {}, name);
  if (lines.length) caption.append(made('dl', { className: 'measures' }, ...lines));
  return { canvas, note, name, measures, figure: made('figure', {}, made('div', { className: 'picture' }, note, canvas), caption) };
}

// Sliders

const signed = value => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;

function makeSliders() {
  element('sliders').replaceChildren(...state.lead.sliders.map((slider, i) => {
    const { latent, spread, reach } = slider;
    slider.input = made('input', { type: 'range', id: `slider-${i}`, min: -reach, max: reach, step: 0.01, value: 0 });
    slider.output = made('output');
    slider.output.htmlFor = slider.input.id;
    slider.input.addEventListener('input', () => {
      state.shift[latent] = slider.input.valueAsNumber - (baseOf(state.lead)?.[latent] ?? 0);
      say(slider, slider.input.valueAsNumber);
      redraw();
    });
    const name = made('label', { htmlFor: slider.input.id }, `latent ${latent}`,
      made('span', { className: 'soft', textContent: `spread ${spread.toFixed(2)}` }));
    return made('div', { className: 'slider' }, name, slider.input, slider.output);
  }));
  const { measured } = state.lead;
  element('measured').textContent = measured ? `Spreads are over ${measured} held-out pictures.` : 'Samples have a spread of 1.';
}

function say(slider, value) {
  slider.output.textContent = signed(value);
  slider.input.ariaValueText = `${signed(value)}, spread ${slider.spread.toFixed(2)}`;
}

function moveSliders() {  // to what holds for the net whose values they show
  const z = latentsOf(state.lead) ?? state.shift;
  for (const slider of state.lead.sliders) {
    const value = z[slider.latent];
    const reach = Math.max(slider.reach, Math.ceil(Math.abs(value)));
    Object.assign(slider.input, { min: -reach, max: reach, value });
    say(slider, value);
  }
}

// Where to begin

function begin(base, { kept = false } = {}) {
  if (!kept) stop();
  state.base = base;
  state.shift = new Float32Array(state.group.latents);
  for (const radio of element('pictures').querySelectorAll('input')) {
    radio.checked = base.picture !== undefined && radio.value === String(base.picture);
  }
  moveSliders();
  redraw();
}

function normal() {  // Box and Muller's
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

const sample = () => ({ z: Float32Array.from({ length: state.group.latents }, normal) });
const origin = () => ({ z: new Float32Array(state.group.latents) });

function offer({ thumbnails, ends, shape }, picture, pixels) {  // to begin with, and as an end of walks
  const value = String(picture);
  const index = thumbnails.findIndex(one => one.firstChild.value === value);
  const canvas = made('canvas', { ariaHidden: 'true' });
  paint(canvas, pixels, shape);
  const radio = made('input', { type: 'radio', name: 'picture', value, ariaLabel: nameOf(picture) });
  const label = made('label', {}, radio, canvas);
  if (index < 0) { thumbnails.push(label); ends.push([nameOf(picture), value]); } else thumbnails[index] = label;
}

function listPictures() {
  const { thumbnails, ends } = state.group;
  element('thumbnails').replaceChildren(...thumbnails);
  const { first, last } = element('walk').elements;
  const chosen = [first.value || '0', last.value || '1'];
  for (const [i, select] of [first, last].entries()) {
    select.replaceChildren(...ends.map(([text, value]) => new Option(text, value)));
    select.value = chosen[i];
    if (select.selectedIndex < 0) select.selectedIndex = Math.min(i, ends.length - 1);
  }
}

const chosen = value => value === OWN ? OWN : Number(value);

function walked() {
  const { first, last, part } = element('walk').elements;
  part.ariaValueText = `${part.value} % of the way from ${nameOf(chosen(first.value))} to ${nameOf(chosen(last.value))}`;
  return { first: chosen(first.value), last: chosen(last.value), part: part.valueAsNumber / 100 };
}

let playing = 0;

function stop() {
  cancelAnimationFrame(playing);
  playing = 0;
  element('play').textContent = 'Play';
}

function play() {
  if (playing) { stop(); return; }
  const { part } = element('walk').elements;
  const from = part.valueAsNumber < 100 ? part.valueAsNumber : 0;
  const started = performance.now();
  element('play').textContent = 'Stop';
  const step = now => {
    part.value = Math.min(100, from + Math.max(0, now - started) / SECONDS / 10);
    begin(walked(), { kept: true });
    if (part.valueAsNumber < 100) playing = requestAnimationFrame(step); else stop();
  };
  playing = requestAnimationFrame(step);
}

// A picture of the user's

async function take(file) {
  const { group } = state;
  const nets = group.nets.filter(net => net.encodes);
  if (!nets.length) return;
  answer(`${file.name} is being read.`);
  try {
    const fitted = await ask('fit', { file, shape: group.shape });
    if (fitted.problem) {
      answer(`${file.name}: ${fitted.problem}.`);
      return;
    }
    const codes = await Promise.all(nets.map(net => ask('encode', { net: net.place, pixels: fitted.pixels })));
    nets.forEach((net, i) => { net.own = codes[i]; });
    group.own = fitted;
    offer(group, OWN, fitted.pixels);
    const [, height, width] = group.shape;
    answer(`${file.name}: ${fitted.width} x ${fitted.height} pixels, cut to a square and scaled to ${width} x ${height}.`);
    if (group !== state.group) return;  // it is among its pictures when one comes back
    listPictures();
    begin({ picture: OWN });
  } catch (error) {
    answer(`${file.name}: cannot be drawn (${error.message}).`);
  }
}

function answer(text) {  // where a dropped picture's answer is seen
  element('answer').textContent = text;
  element('answer').scrollIntoView({ block: 'nearest' });
}

function save() {
  const { figure, nets, shape } = state.group;
  const shown = [figure, ...nets.map(net => net.figure)].filter(({ canvas }) => !canvas.hidden);
  const side = shape[2] * Math.ceil(256 / shape[2]);
  const [gap, below] = [8, 28];
  const sheet = made('canvas', { width: shown.length * (side + gap) + gap, height: side + gap + below });
  const context = sheet.getContext('2d');
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, sheet.width, sheet.height);
  Object.assign(context, { imageSmoothingEnabled: false, fillStyle: '#1b1f24', font: '14px sans-serif', textAlign: 'center' });
  shown.forEach(({ canvas, name }, i) => {
    const left = gap + i * (side + gap);
    context.drawImage(canvas, left, gap, side, side);
    context.fillText(name.textContent, left + side / 2, gap + side + 19, side);
  });
  sheet.toBlob(blob => {
    const link = made('a', { href: URL.createObjectURL(blob), download: 'drawn.png' });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    status.textContent = `Saved as ${link.download}.`;
  });
}

// Groups

function choose(group) {
  Object.assign(state, { group, lead: group.nets[0] });
  const { figure, nets, shape, pictures } = group;
  const figures = [...pictures ? [figure] : [], ...nets.map(net => net.figure)];
  element('figures').replaceChildren(...figures.map(one => one.figure));
  element('figures').style.setProperty('--across', Math.min(figures.length, 4));
  element('figures').style.setProperty('--across-narrow', Math.min(figures.length, 3));
  document.querySelector('.shown').classList.toggle('small', figures.length < 4);
  element('lead').hidden = nets.length < 2;
  element('latents').elements.lead.replaceChildren(...nets.map((net, i) => new Option(net.figure.name.textContent, i)));
  for (const id of ['pictures', 'walk']) element(id).hidden = !pictures;
  const without = nets.filter(net => !net.encodes);
  const { file } = element('own').elements;
  file.disabled = without.length === nets.length;
  file.value = '';
  element('answer').textContent = '';
  element('fits').textContent = [file.disabled ? '' : `It is turned upright, cut to the square in its middle and scaled to ${shape[2]} x ${shape[1]} pixels${shape[0] === 1 ? '; digits are white on black' : ''}.`,
    ...without.map(net => `${net.figure.name.textContent} draws none: ${net.absent}.`)].join(' ').trim();
  makeSliders();
  if (pictures) {
    listPictures();
    element('walk').elements.part.value = 0;
    walked();
  }
  begin(pictures ? { picture: 0 } : sample());
}

function titles(nets) {  // those of equal nets are told apart by their labels
  return nets.map(net => nets.filter(other => other.title === net.title).length < 2 ? net.title :
    [net.title, ...net.labels].join(', '));
}

async function unpack() {
  for (const [i, group] of groups.entries()) {
    group.held = await ask('inflate', { text: element(`pictures-${i}`).textContent });
    Object.assign(group, { thumbnails: [], ends: [], figure: figureOf('original', 'The original', {}) });
    const called = titles(group.nets);
    for (const [j, net] of group.nets.entries()) {
      net.figure = figureOf(called[j], `Drawn by ${called[j]}`, MEASURES);
      await ask('load', { parts: net.parts, values: element(`values-${net.place}`).textContent });
      const bytes = await ask('inflate', { text: element(`codes-${net.place}`).textContent });
      net.held = new Float32Array(bytes.buffer);
      if (i === 0) element('figures').append(net.figure.figure);
    }
    state.group = group;
    for (let picture = 0; picture < group.pictures; picture++) offer(group, picture, pixelsOf(picture));
  }
  const select = element('choice').elements.group;
  choose(groups[select.value]);  // a browser may have kept a choice
  status.textContent = 'The nets are ready.';
}

element('choice').addEventListener('change', event => choose(groups[event.target.value]));
element('latents').elements.lead.addEventListener('change', event => {
  state.lead = state.group.nets[event.target.value];
  makeSliders();
  moveSliders();
});
element('pictures').addEventListener('change', event => begin({ picture: chosen(event.target.value) }));
element('sample').addEventListener('click', () => begin(sample()));
element('mean').addEventListener('click', () => begin(state.base.z ? origin() : state.base));
element('save').addEventListener('click', save);
element('walk').addEventListener('input', () => begin(walked()));
element('play').addEventListener('click', play);
element('own').elements.file.addEventListener('change', event => event.target.files[0] && take(event.target.files[0]));
for (const form of document.forms) form.addEventListener('submit', event => event.preventDefault());
addEventListener('dragover', event => {
  event.preventDefault();
  document.body.classList.add('dropped');
});
addEventListener('dragleave', () => document.body.classList.remove('dropped'));
addEventListener('drop', event => {
  event.preventDefault();
  document.body.classList.remove('dropped');
  const [file] = event.dataTransfer.files;
  if (file) take(file);
});
unpack();
