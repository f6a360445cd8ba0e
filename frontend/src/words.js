// Figures in words, as the Python side says them.

export function percent(share) {
  if (share === null || share === undefined) return "?";
  const value = 100 * share;
  if (value > 0 && value < 0.1) return `${value.toPrecision(2)} %`;
  return value >= 9.95 || value === 0 ? `${value.toFixed(0)} %` : `${value.toFixed(1)} %`;
}

export function score(value) {
  if (value === null || value === undefined) return "-";
  return Math.abs(value) < 1000 ? value.toFixed(4) : value.toPrecision(6);
}

export function short(value) {
  return String(Number(value.toPrecision(6)));
}

export function duration(seconds) {
  if (seconds === null) return "not known";
  if (seconds < 10) return `${Number(seconds.toPrecision(2))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function q(value) {
  if (value === null) return "q unknown";
  return value < 0.001 ? "q < 0.001" : `q = ${Number(value.toPrecision(2))}`;
}

export function states(counts) {
  const found = Object.entries(counts).map(([state, count]) => `${count.toLocaleString("en")} ${state}`);
  return found.length ? found.join(", ") : "not run";
}

export function total(counts) {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
