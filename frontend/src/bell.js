// @ts-check
// A belief about a number, as a bell over its axis. No DOM.

/** @typedef {import("./messages.js").BeliefForm} BeliefForm */

/**
 * How high the bell is at a value; 1 at its centre.
 * @param {BeliefForm} form @param {number} value
 */
export function height(form, value) {
  const near = form.near ?? 0;
  if (form.within !== undefined) return Math.exp(-0.5 * ((value - near) / form.within) ** 2);
  return value > 0 && near > 0 ? Math.exp(-0.5 * (Math.log(value / near) / Math.log(form.within_factor ?? 2)) ** 2) : 0;
}

/**
 * Where its upper shoulder lies: the value that two cases of three lie below, on that side.
 * @param {BeliefForm} form
 */
export function shoulder(form) {
  const near = form.near ?? 0;
  return form.within !== undefined ? near + form.within : near * (form.within_factor ?? 1);
}

/**
 * The belief with its centre moved.
 * @param {BeliefForm} form @param {number} near
 */
export function centred(form, near) {
  const to = rounded(near);
  if (form.within_factor !== undefined && to <= 0) return form; // a factor needs a value above 0
  return { ...form, near: to };
}

/**
 * The belief with its upper shoulder moved; a shoulder on the other side of the centre stands for one on this side.
 * @param {BeliefForm} form @param {number} to
 */
export function widened(form, to) {
  const near = form.near ?? 0;
  if (form.within_factor !== undefined) {
    const factor = rounded(to > 0 ? Math.max(to / near, near / to) : Infinity);
    return factor > 1.005 && Number.isFinite(factor) ? { near, within_factor: factor } : form;
  }
  const within = rounded(Math.abs(to - near));
  return within > 0 ? { near, within } : form;
}

/**
 * What a belief begins with: the middle of the axis, a sixth of it wide, by a factor where the axis is logarithmic.
 * @param {{log: boolean, grid: number[]}} panel
 * @returns {BeliefForm}
 */
export function first({ log, grid }) {
  const [low, high] = [grid[0], grid[grid.length - 1]];
  if (log) return { near: rounded(Math.sqrt(low * high)), within_factor: Math.max(1.1, rounded((high / low) ** (1 / 6))) };
  return { near: rounded((low + high) / 2), within: rounded((high - low) / 6) };
}

/** @param {number} value */
export function rounded(value) {
  return Number(value.toPrecision(3));
}
