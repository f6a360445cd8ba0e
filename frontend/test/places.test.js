// Where dots lie: the scale of values, and the nearest of many.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Bins, columnsOf, placed, scaleOf } from "../src/places.js";

const view = { low: 0.1, high: 10, log: true, beyond: 1, ticks: [{ value: 1, label: "1" }] };
const trials = { values: Float64Array.of(0.1, 1, 10, 500, Number.NaN, Number.NaN), ranks: Uint16Array.of(0, 16383, 32767, 65534, 65535, 65535), flags: Uint8Array.of(1, 0, 0, 0, 2, 0) };
const places = (how) => {
  const scale = scaleOf(view, trials, { top: 50, height: 100, ...how });
  return [...trials.values.keys()].map((i) => scale.place(i));
};

test("less is better: the best at the top, in even decades, and values beyond the scale at the lower edge", () => {
  const [best, middle, last, beyond, bad, none] = places({ direction: "minimize" });
  assert.equal(best, 54);
  assert.equal(last - middle, middle - best);
  assert.ok(beyond > last && bad > beyond && bad < 150);
  assert.ok(Number.isNaN(none));
});

test("more is better: the best at the top as well", () => {
  const [worst, middle, best, beyond, bad] = places({ direction: "maximize" });
  assert.ok(best < middle && middle < worst && worst < beyond && beyond < bad && bad < 150);
});

test("from the median on values are to scale, and the worse half lies beyond it by rank", () => {
  const values = Float64Array.of(0.99, 0.98, 0.9, 0.5, 0.01);
  const ranks = Uint16Array.of(58980, 45874, 32767, 19660, 6553);
  const many = { values, ranks, flags: new Uint8Array(5) };
  const half = { ...view, low: 0, high: 1, log: false, beyond: 0, middle: 0.9, middle_ticks: [{ value: 0.9, label: "0.9" }, { value: 0.95, label: "0.95" }] };
  const up = scaleOf(half, many, { height: 96, direction: "maximize" });
  const [first, second, middle, fourth, last] = [0, 1, 2, 3, 4].map(up.place);
  assert.ok(first < second && second < middle && middle < fourth && fourth < last && last < 96);
  assert.ok(middle - second > 4 * (second - first)); // as far apart as their values
  assert.ok(last - fourth < 2 * (fourth - middle)); // and these as their ranks
  const down = scaleOf({ ...half, low: 0, high: 1 }, { ...many, values: values.map((v) => -v) }, { height: 96, direction: "maximize" });
  assert.ok(down.squeezed[0] < down.squeezed[1]);
  assert.deepEqual(up.squeezed, [middle, 92]);
  assert.deepEqual(up.ticks.map(({ label }) => label), ["0.95", "median"]);
});

test("columns are read as they are laid out, wherever values begin", () => {
  const n = 3;
  const bytes = new Uint8Array(2 * n * 2 + 8 * n + n);
  bytes.set(new Uint8Array(Uint16Array.of(1, 2, 3, 7, 8, 9).buffer));
  bytes.set(new Uint8Array(Float64Array.of(0.5, 1.5, 2.5).buffer), 12);
  bytes.set([1, 2, 0], 36);
  const found = columnsOf(bytes.buffer, ["a"], n);
  assert.deepEqual([...found.columns.get("a")], [1, 2, 3]);
  assert.deepEqual([...found.ranks], [7, 8, 9]);
  assert.deepEqual([...found.values], [0.5, 1.5, 2.5]);
  assert.deepEqual([...found.flags], [1, 2, 0]);
});

test("the nearest of 100,000 is the one that looking at all finds, and none is where none is near", () => {
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const n = 100_000;
  const dots = placed(
    n,
    (i) => (i % 50 === 0 ? Number.NaN : 300 * random()),
    () => 90 * random(),
  );
  const bins = new Bins(dots);
  for (let k = 0; k < 20; k += 1) {
    const [x, y] = [320 * random(), 100 * random()];
    let [best, least] = [-1, 100];
    for (let i = 0; i < n; i += 1) {
      const far = (dots.x[i] - x) ** 2 + (dots.y[i] - y) ** 2;
      if (far < least) [best, least] = [i, far];
    }
    assert.equal(bins.nearest(x, y), best);
  }
  assert.equal(bins.nearest(400, 50), -1);
  assert.equal(new Bins(placed(0, () => 0, () => 0)).nearest(1, 1), -1);
});
