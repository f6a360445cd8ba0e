// Figures in words, as the Python side says them.

export function percent(share) {
  if (share === null || share === undefined) return "-";
  const value = 100 * share;
  if (value > 0 && value < 0.1) return `${general(value, 2)} %`;
  if (value > 99.9 && value < 100) return `${general(value, 4)} %`;
  return value >= 9.95 || value === 0 ? `${fixed(value, 0)} %` : `${fixed(value, 1)} %`;
}

export function score(value) {
  if (value === null || value === undefined) return "-";
  return Math.abs(value) < 1000 ? fixed(value, 4) : general(value, 6);
}

export function short(value) {
  return Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : general(value, 6);
}

export function duration(seconds) {
  if (seconds < 10) return `${general(seconds, 2)} s`;
  const whole = Number(fixed(seconds, 0));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

// Python's format `g`: an exponent only where it is short, of two digits at least.
function general(value, digits) {
  if (value === 0) return "0";
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const power = Number(exponent);
  if (power >= -4 && power < digits) return String(Number(fixed(value, digits - 1 - power)));
  return `${Number(mantissa)}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

// Python's format `f`: of two that are as near the even one, where JavaScript takes the larger.
function fixed(value, digits) {
  const scaled = value * 10 ** digits;
  const below = Math.floor(scaled);
  const tie = scaled - below === 0.5 && Number.isInteger(2 ** (digits + 1) * value);
  return tie ? ((below + (below % 2 ? 1 : 0)) / 10 ** digits).toFixed(digits) : value.toFixed(digits);
}

export function q(value) {
  if (value === null) return "q unknown";
  return value < 0.001 ? "q < 0.001" : `q = ${general(value, 2)}`;
}

export function states(counts) {
  const found = Object.entries(counts).map(([state, count]) => `${count.toLocaleString("en")} ${state}`);
  return found.length ? found.join(", ") : "not run";
}

export function total(counts) {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
