// The places of dots, and the dot nearest to the pointer. Plain arithmetic without a browser.

export const MISSING = 0xffff;
export const GOOD = 1;
export const BAD = 2;
export const INFEASIBLE = 4;
export const OTHER = 8; // of another round

const EDGE = 15; // pixels at the worse end for trials off the scale
const WORSE = 0.26; // share of the height for the worse half, drawn by rank, so the better half has more room
const PAD = 4;

/**
 * Columns of `trials`, as refine/ui/web/content.py lays them out.
 * @param {ArrayBuffer} buffer
 * @param {string[]} names of the panels, in their order
 * @param {number} n how many trials
 */
export function columnsOf(buffer, names, n) {
  const column = (i) => new Uint16Array(buffer, 2 * n * i, n);
  const start = 2 * n * (names.length + 1);
  // Values may begin at an offset that is not a multiple of eight.
  const values = new Float64Array(buffer.slice(start, start + 8 * n));
  const flags = new Uint8Array(buffer, start + 8 * n, n);
  return { n, columns: new Map(names.map((name, i) => [name, column(i)])), ranks: column(names.length), values, flags };
}

/**
 * The vertical scale of dots, the best at the top. If ranks exist, the better half is to scale and the worse half lies below by rank, between the ends of `squeezed`.
 * @param {object} view as refine/ui/web/content.py has it
 * @param {{values: Float64Array, ranks?: Uint16Array, flags: Uint8Array}} trials
 * @param {{top?: number, height: number, direction: string}} how
 */
export function scaleOf(view, trials, { top = 0, height, direction }) {
  const up = direction === "maximize";
  const edge = view.beyond > 0 || trials.flags.some((flag) => flag & BAD) ? EDGE : PAD;
  const worst = top + height - edge;
  const first = top + PAD; // the best value's place
  const at = view.log ? Math.log10 : (value) => value;
  const [best, least] = up ? [at(view.high), at(view.low)] : [at(view.low), at(view.high)];
  const shareOf = (value) => (best === least ? 0.5 : (at(value) - least) / (best - least));
  const to = (share) => worst + (first - worst) * share;
  const bad = top + height - 4;
  const beyond = top + height - 10;
  const middle = trials.ranks ? (view.middle ?? null) : null;
  const bound = worst - WORSE * height; // the median's place
  const better = (value) => bound + (first - bound) * ((at(value) - at(middle)) / (best - at(middle)));
  const toBetter = (value, rank) => {
    if (up ? value >= middle : value <= middle) return better(value);
    const share = rank / (MISSING - 1); // from the lowest value to the highest
    return worst + (bound - worst) * Math.min(1, 2 * (up ? share : 1 - share));
  };
  const place = (i) => {
    if (trials.flags[i] & BAD && !(trials.flags[i] & INFEASIBLE)) return bad;
    if (Number.isNaN(trials.values[i])) return Number.NaN;
    if (middle !== null) return toBetter(trials.values[i], trials.ranks[i]);
    const share = shareOf(trials.values[i]);
    return share >= 0 && share <= 1 ? to(share) : beyond;
  };
  if (middle !== null) {
    const ticks = view.middle_ticks.map(({ value, label }) => ({ y: better(value), label })).filter(({ y }) => Math.abs(y - bound) > 11);
    return { place, ticks: [...ticks, { y: bound, label: "median" }], squeezed: [bound, worst] };
  }
  const ticks = view.ticks.map(({ value, label }) => ({ y: to(shareOf(value)), label }));
  return { place, ticks, beyond };
}

/**
 * The places of n dots.
 * @param {number} n
 * @param {(i: number) => number} x pixels, NaN for none
 * @param {(i: number) => number} y
 */
export function placed(n, x, y) {
  const found = { n, x: new Float32Array(n), y: new Float32Array(n) };
  for (let i = 0; i < n; i += 1) {
    found.x[i] = x(i);
    found.y[i] = y(i);
  }
  return found;
}

// A number that looks random but is always the same.
export function jitter(i) {
  return (i * 0.6180339887498949) % 1;
}

/** Dots sorted into squares, so the nearest dot is found among a few. */
export class Bins {
  /**
   * @param {{n: number, x: Float32Array, y: Float32Array}} places
   * @param {number} size of a square, the largest distance of a match
   */
  constructor({ n, x, y }, size = 10) {
    this.x = x;
    this.y = y;
    this.size = size;
    let [right, bottom] = [0, 0];
    for (let i = 0; i < n; i += 1) {
      if (x[i] > right) right = x[i];
      if (y[i] > bottom) bottom = y[i];
    }
    this.across = Math.floor(right / size) + 1;
    this.down = Math.floor(bottom / size) + 1;
    this.starts = new Uint32Array(this.across * this.down + 1);
    for (let i = 0; i < n; i += 1) {
      const bin = this.bin(x[i], y[i]);
      if (bin >= 0) this.starts[bin + 1] += 1;
    }
    for (let bin = 1; bin < this.starts.length; bin += 1) this.starts[bin] += this.starts[bin - 1];
    const next = this.starts.slice();
    this.order = new Uint32Array(this.starts.at(-1));
    for (let i = 0; i < n; i += 1) {
      const bin = this.bin(x[i], y[i]);
      if (bin < 0) continue;
      this.order[next[bin]] = i;
      next[bin] += 1;
    }
  }

  // The square of a place; -1 outside the plot.
  bin(x, y) {
    if (!(x >= 0 && y >= 0)) return -1;
    const [i, j] = [Math.floor(x / this.size), Math.floor(y / this.size)];
    return i < this.across && j < this.down ? j * this.across + i : -1;
  }

  /** The dot nearest to a place; -1 if no dot lies within the size of a square. */
  nearest(x, y) {
    const [i, j] = [Math.floor(x / this.size), Math.floor(y / this.size)];
    let found = -1;
    let least = this.size * this.size;
    for (let row = Math.max(0, j - 1); row <= Math.min(this.down - 1, j + 1); row += 1) {
      for (let column = Math.max(0, i - 1); column <= Math.min(this.across - 1, i + 1); column += 1) {
        const bin = row * this.across + column;
        for (let k = this.starts[bin]; k < this.starts[bin + 1]; k += 1) {
          const dot = this.order[k];
          const far = (this.x[dot] - x) ** 2 + (this.y[dot] - y) ** 2;
          if (far < least) [found, least] = [dot, far];
        }
      }
    }
    return found;
  }
}
