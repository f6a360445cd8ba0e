// Trials as dots on a canvas: few trials one by one, many as counts per pixel, so drawing stays fast.
import { h } from "./dom.js";
import { BAD, Bins, GOOD, INFEASIBLE, OTHER } from "./places.js";

const FEW = 4000;
const MANY = 150; // crosses
const FAINT = 0.45; // opacity of trials of other rounds, compared with those of the round
const LARGE = 400; // dots that are drawn large

/** A canvas of dots that finds the trial under the pointer and highlights a trial. */
export class Dots {
  /**
   * @param {HTMLElement} plot parent of the canvas, which receives the pointer's events
   * @param {HTMLCanvasElement} canvas
   * @param {import("./hover.js").Hover} hover
   */
  constructor(plot, canvas, hover) {
    this.plot = plot;
    this.canvas = canvas;
    this.hover = hover;
    this.ring = h("span", { class: "refine-ring", "aria-hidden": "true", hidden: true });
    plot.append(this.ring);
    hover.watch(plot, this);
  }

  /**
   * @param {{n: number, x: Float32Array, y: Float32Array}} places in pixels of the plot
   * @param {Uint8Array} flags
   * @param {{colours: object, top?: number, height: number, beyond?: number}} how
   * @param {{numberOf: (i: number) => number | null, indexOf: (number: number) => number}} names the number of a trial for a dot, and back
   */
  draw(places, flags, how, names) {
    this.places = places;
    this.names = names;
    this.bins = null;
    drawDots(this.canvas, places, flags, { top: 0, ...how });
    this.light(this.hover.number);
  }

  /** The trial nearest to the pointer; null without a trial nearby. */
  nearest(event) {
    if (!this.places) return null;
    this.bins ??= new Bins(this.places);
    const box = this.plot.getBoundingClientRect();
    const dot = this.bins.nearest(event.clientX - box.left, event.clientY - box.top);
    return dot < 0 ? null : this.names.numberOf(dot);
  }

  /** Highlights the trial with this number, or none. */
  light(number) {
    const dot = number === null || !this.places ? -1 : this.names.indexOf(number);
    const [x, y] = dot < 0 ? [Number.NaN] : [this.places.x[dot], this.places.y[dot]];
    this.ring.hidden = Number.isNaN(x) || Number.isNaN(y);
    if (!this.ring.hidden) this.ring.style.translate = `${x}px ${y}px`;
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{n: number, x: Float32Array, y: Float32Array}} places
 * @param {Uint8Array | Uint8Array<ArrayBuffer>} flags
 * @param {{colours: any, top: number, height: number, beyond?: number}} how the part of the plot that the canvas covers; dots at `beyond` are off the scale
 */
function drawDots(canvas, places, flags, { top, height, beyond, colours }) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.translate(0, -top);
  if (places.n <= FEW) drawEach(context, places, flags, beyond, colours);
  else drawCounts(context, places, flags, { width, top, height, colours });
  drawInfeasible(context, places, flags, colours.bad);
  drawBad(context, places, flags, colours.bad, OTHER);
  drawBad(context, places, flags, colours.bad, 0);
}

// Infeasible trials: hollow marks at their values, or at the edge if the values are off the scale.
function drawInfeasible(context, { n, x, y }, flags, colour) {
  context.globalAlpha = 0.9;
  context.strokeStyle = colour;
  context.beginPath();
  let drawn = 0;
  for (let i = 0; i < n && drawn < FEW; i += 1) {
    if (!(flags[i] & INFEASIBLE) || Number.isNaN(x[i]) || Number.isNaN(y[i])) continue;
    drawn += 1;
    context.moveTo(x[i] - 2.8, y[i] - 2.2);
    context.lineTo(x[i] + 2.8, y[i] - 2.2);
    context.lineTo(x[i], y[i] + 2.8);
    context.closePath();
  }
  context.stroke();
}

// Trials without a usable model: crosses, or strokes if crosses would cover each other.
function drawBad(context, { n, x, y }, flags, colour, other) {
  const bad = [];
  for (let i = 0; i < n && bad.length < FEW; i += 1) {
    if (flags[i] & BAD && !(flags[i] & INFEASIBLE) && (flags[i] & OTHER) === other && !Number.isNaN(x[i])) bad.push(i);
  }
  const many = bad.length > MANY;
  context.globalAlpha = (many ? 0.45 : 0.95) * (other ? FAINT : 1);
  context.lineWidth = 1.3;
  context.strokeStyle = colour;
  context.beginPath();
  for (const i of bad) {
    context.moveTo(x[i] - (many ? 0 : 2.5), y[i] - 2.5);
    context.lineTo(x[i] + (many ? 0 : 2.5), y[i] + 2.5);
    if (many) continue;
    context.moveTo(x[i] - 2.5, y[i] + 2.5);
    context.lineTo(x[i] + 2.5, y[i] - 2.5);
  }
  context.stroke();
}

function drawEach(context, { n, x, y }, flags, beyond, colours) {
  const large = n <= LARGE;
  context.strokeStyle = colours.ground;
  context.lineWidth = 0.75;
  // The trials of the round lie on top of the fainter ones of other rounds.
  for (const kind of [OTHER, OTHER | GOOD, 0, GOOD]) {
    const good = Boolean(kind & GOOD);
    context.fillStyle = good ? colours.good : colours.all;
    context.globalAlpha = (good ? 0.9 : 0.45) * (kind & OTHER ? FAINT : 1);
    for (let i = 0; i < n; i += 1) {
      if (Number.isNaN(x[i]) || Number.isNaN(y[i]) || flags[i] & BAD) continue;
      if ((flags[i] & (GOOD | OTHER)) !== kind) continue;
      if (y[i] === Math.fround(beyond)) {
        context.fillRect(x[i] - 0.6, y[i] - 3, 1.2, 6);
        continue;
      }
      context.beginPath();
      context.arc(x[i], y[i], (good ? 2.2 : 1.6) + (large ? 0.9 : 0), 0, 6.3);
      context.fill();
      if (large && good) context.stroke();
    }
  }
}

function drawCounts(context, { n, x, y }, flags, { width, top, height, colours }) {
  const cell = 2;
  const across = Math.ceil(width / cell);
  const down = Math.ceil(height / cell);
  const all = new Uint32Array(across * down);
  const good = new Uint32Array(across * down);
  let most = 1;
  for (let i = 0; i < n; i += 1) {
    if (flags[i] & BAD || Number.isNaN(y[i])) continue;
    const row = Math.floor((y[i] - top) / cell);
    const column = Math.floor(x[i] / cell);
    if (!(row >= 0 && row < down && column >= 0 && column < across)) continue;
    const place = row * across + column;
    all[place] += 1;
    if (all[place] > most) most = all[place];
    if (flags[i] & GOOD) good[place] += 1;
  }
  for (let place = 0; place < all.length; place += 1) {
    if (all[place] === 0) continue;
    context.fillStyle = 2 * good[place] > all[place] ? colours.good : colours.all;
    context.globalAlpha = 0.25 + 0.7 * (Math.log1p(all[place]) / Math.log1p(most));
    context.fillRect((place % across) * cell, top + Math.floor(place / across) * cell, cell, cell);
  }
}
