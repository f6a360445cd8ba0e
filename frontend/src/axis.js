// A range's axis: values to positions in [0, 1] and back, and the stops that a bound can have.
import { scaleLinear, scaleLog } from "d3-scale";

export function axisOf(panel) {
  const [low, high] = panel.edges;
  const full = (panel.log ? scaleLog() : scaleLinear()).domain([low, high]).range([0, 1]);
  // A bound that was typed may be one that a logarithm does not have: it lies before everything.
  const scale = Object.assign((value) => (panel.log && value <= 0 ? -Infinity : full(value)), { invert: full.invert });
  const stops = panel.stops;
  // As far as bounds may be moved.
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

// Moves one bound by so many stops, or to one; the two never meet.
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
