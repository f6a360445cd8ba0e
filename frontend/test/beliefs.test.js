import assert from "node:assert/strict";
import { test } from "node:test";
import { centred, first, height, shoulder, widened } from "../src/bell.js";
import { percent, sameForms } from "../src/plan.js";

test("a bell has its centre and its shoulders where the belief says", () => {
  for (const form of [{ near: 0.01, within_factor: 3 }, { near: 0.2, within: 0.1 }]) {
    assert.equal(height(form, form.near), 1);
    assert.ok(Math.abs(height(form, shoulder(form)) - Math.exp(-0.5)) < 1e-12);
  }
  assert.equal(height({ near: 0.01, within_factor: 3 }, -1), 0);
});

test("dragging the centre keeps the width, and dragging a shoulder the centre", () => {
  assert.deepEqual(centred({ near: 0.01, within_factor: 3 }, 0.0200044), { near: 0.02, within_factor: 3 });
  assert.deepEqual(widened({ near: 0.01, within_factor: 3 }, 0.05), { near: 0.01, within_factor: 5 });
  assert.deepEqual(widened({ near: 0.01, within_factor: 3 }, 0.002), { near: 0.01, within_factor: 5 });
  assert.deepEqual(widened({ near: 0.2, within: 0.1 }, 0.25), { near: 0.2, within: 0.05 });
});

test("no drag makes a belief that Python refuses", () => {
  const factor = { near: 0.01, within_factor: 3 };
  for (const to of [0.01, 0, -1]) assert.equal(widened(factor, to), factor);
  assert.equal(centred(factor, -0.5), factor);
  const near = { near: 0.2, within: 0.1 };
  assert.equal(widened(near, 0.2), near);
});

test("a belief begins in the middle of the axis, on its scale", () => {
  assert.deepEqual(first({ log: true, grid: [1e-4, 1] }), { near: 0.01, within_factor: 4.64 });
  assert.deepEqual(first({ log: false, grid: [0, 0.25, 0.6] }), { near: 0.3, within: 0.1 });
});

test("forms are the same whatever the order of names and fields", () => {
  const a = new Map([["x", { near: 1, within: 2 }], ["y", { weights: [0.5, null] }]]);
  const b = new Map([["y", { weights: [0.5, null] }], ["x", { within: 2, near: 1 }]]);
  assert.ok(sameForms(a, b));
  b.set("x", { near: 1, within: 3 });
  assert.ok(!sameForms(a, b));
  assert.equal(percent(0.07), "7");
});
