// The axis of a range: converts values to positions in [0, 1] and back, and lists the stops of a bound.
import { scaleLinear, scaleLog } from "d3-scale";

export function axisOf(panel) {
  const [low, high] = panel.edges;
  const full = (panel.log ? scaleLog() : scaleLinear()).domain([low, high]).range([0, 1]);
  // A typed bound may have no logarithm; its position is before all others.
  const scale = Object.assign((value) => (panel.log && value <= 0 ? -Infinity : full(value)), { invert: full.invert });
  const stops = panel.stops;
  // The limits of the bounds.
  const ends = [Math.min(0, scale(stops[0])), Math.max(1, scale(stops.at(-1)))];
  return { scale, stops, ends, nearest: (value) => nearest(stops, value, scale) };
}

function nearest(stops, value, scale) {
  const at = scale(value);
  let best = 0;
  for (let i = 1; i < stops.length; i += 1) {
    if (Math.abs(scale(stops[i]) - at) < Math.abs(scale(stops[best]) - at)) best = i;
  }
  return best;
}

// Moves a bound by a number of stops, or to a stop. The two bounds never meet.
export function moved(stops, bounds, side, to) {
  const at = [stops.indexOf(bounds[0]), stops.indexOf(bounds[1])];
  const other = at[1 - side];
  const most = side === 0 ? other - 1 : stops.length - 1;
  const least = side === 0 ? 0 : other + 1;
  const place = Math.min(most, Math.max(least, to));
  const found = [...bounds];
  found[side] = stops[place];
  return found;
}
