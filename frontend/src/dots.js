// Trials as dots on a canvas: one by one while they are few, else as counts per pixel, so that any number stays fluid.

const FEW = 4000;
const MISSING = 0xffff;

export const GOOD = 1;
export const BAD = 2;
export const INFEASIBLE = 4;

// Columns of `trials`, as refine/ui/web/content.py lays them out.
export function columnsOf(buffer, names, n) {
  const columns = new Map(names.map((name, i) => [name, new Uint16Array(buffer, 2 * n * i, n)]));
  const start = 2 * n * names.length;
  // Values need not begin at a multiple of eight.
  const values = new Float64Array(buffer.slice(start, start + 8 * n));
  return { n, columns, values, flags: new Uint8Array(buffer, start + 8 * n, n) };
}

// Draws them. `place` maps a position in [0, 1] to pixels, `height` is the panel's; `spread` how far dots of one level may
// lie apart. Bad trials stand as crosses along the edge where the worst values are.
export function drawDots(canvas, trials, column, { place, height, view, direction, spread, colours }) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const at = view.log ? Math.log10 : (value) => value;
  const [low, high] = [at(view.low), at(view.high)];
  const up = (value) => height - ((at(value) - low) / (high - low)) * height;
  const floor = direction === "maximize" ? height - 4 : 4;
  const x = (i) => place(column[i] / (MISSING - 1)) + spread * (jitter(i) - 0.5);
  if (trials.n <= FEW) {
    for (const good of [false, true]) {
      context.fillStyle = good ? colours.good : colours.all;
      context.globalAlpha = good ? 0.85 : 0.5;
      for (let i = 0; i < trials.n; i += 1) {
        if (column[i] === MISSING || Number.isNaN(trials.values[i])) continue;
        if (Boolean(trials.flags[i] & GOOD) !== good || trials.flags[i] & INFEASIBLE) continue;
        const y = up(trials.values[i]);
        if (y < 0 || y > height) continue;
        context.beginPath();
        context.arc(x(i), y, good ? 2.2 : 1.6, 0, 6.3);
        context.fill();
      }
    }
  } else {
    drawCounts(context, trials, column, { x, up, width, height, colours });
  }
  context.globalAlpha = 0.9;
  context.strokeStyle = colours.bad;
  drawInfeasible(context, trials, column, { x, up, height });
  let crosses = 0;
  for (let i = 0; i < trials.n && crosses < FEW; i += 1) {
    if (!(trials.flags[i] & BAD) || trials.flags[i] & INFEASIBLE || column[i] === MISSING) continue;
    crosses += 1;
    const at = x(i);
    context.beginPath();
    context.moveTo(at - 2.5, floor - 2.5);
    context.lineTo(at + 2.5, floor + 2.5);
    context.moveTo(at - 2.5, floor + 2.5);
    context.lineTo(at + 2.5, floor - 2.5);
    context.stroke();
  }
}

// Trials that broke a metric constraint: hollow, where their values are; at the edge where these are off the scale.
function drawInfeasible(context, trials, column, { x, up, height }) {
  let drawn = 0;
  for (let i = 0; i < trials.n && drawn < FEW; i += 1) {
    if (!(trials.flags[i] & INFEASIBLE) || column[i] === MISSING || Number.isNaN(trials.values[i])) continue;
    drawn += 1;
    const [at, y] = [x(i), Math.min(height - 3, Math.max(3, up(trials.values[i])))];
    context.beginPath();
    context.moveTo(at - 2.8, y - 2.2);
    context.lineTo(at + 2.8, y - 2.2);
    context.lineTo(at, y + 2.8);
    context.closePath();
    context.stroke();
  }
}

function drawCounts(context, trials, column, { x, up, width, height, colours }) {
  const cell = 2;
  const across = Math.ceil(width / cell);
  const down = Math.ceil(height / cell);
  const all = new Uint32Array(across * down);
  const good = new Uint32Array(across * down);
  let most = 1;
  for (let i = 0; i < trials.n; i += 1) {
    if (column[i] === MISSING || Number.isNaN(trials.values[i]) || trials.flags[i] & INFEASIBLE) continue;
    const y = Math.floor(up(trials.values[i]) / cell);
    const at = Math.floor(x(i) / cell);
    if (y < 0 || y >= down || at < 0 || at >= across) continue;
    const place = y * across + at;
    all[place] += 1;
    if (all[place] > most) most = all[place];
    if (trials.flags[i] & GOOD) good[place] += 1;
  }
  for (let place = 0; place < all.length; place += 1) {
    if (all[place] === 0) continue;
    context.fillStyle = 2 * good[place] > all[place] ? colours.good : colours.all;
    context.globalAlpha = 0.25 + 0.7 * (Math.log1p(all[place]) / Math.log1p(most));
    context.fillRect((place % across) * cell, Math.floor(place / across) * cell, cell, cell);
  }
}

// Looks random, and is the same every time.
function jitter(i) {
  return (i * 0.6180339887498949) % 1;
}
