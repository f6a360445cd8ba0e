import assert from "node:assert/strict";
import { test } from "node:test";
import { idOf, paired } from "../src/transport.js";

// Two studies that both have a round "a".
function both() {
  const asked = [];
  const answers = {
    start: () => ({ studies: 2, shown: "a" }),
    tree: (other) => ({ name: other ? "two" : "one", winner: "a", rounds: [{ id: "a", parent: null }, { id: "b", parent: "a" }] }),
    pulse: (other) => ({ progress: { a: 1 }, versions: { a: "v" }, job: other ? { round: "a", running: true } : null }),
    round: () => ({ id: "b", parent: "a", review: null }),
    decide: () => ({ child: "c" }),
  };
  const ask = async (message) => (asked.push(message), answers[message.type]?.(message.study === "other") ?? {});
  return { asked, answers, page: paired({ home: "browser", ask, close() {} }) };
}

test("rounds of two studies that have one id are told apart, and messages go to theirs", async () => {
  const { asked, page } = both();
  await page.ask({ type: "start" });
  const tree = await page.ask({ type: "tree" });
  const ids = tree.other.rounds.map(({ id, parent }) => [idOf(id), id === idOf(id), parent && idOf(parent)]);
  assert.deepEqual([tree.rounds[1].id, ids], ["b", [["a", false, null], ["b", false, "a"]]]);
  const second = tree.other.rounds[1].id;
  assert.deepEqual(Object.keys((await page.ask({ type: "pulse" })).progress), ["a", tree.other.rounds[0].id]);
  const { id, parent } = await page.ask({ type: "round", round: second });
  assert.deepEqual([id, parent], [second, tree.other.rounds[0].id]);
  assert.deepEqual(asked.at(-1), { type: "round", round: "b", study: "other" });
  assert.equal(idOf((await page.ask({ type: "decide", round: second })).child), "c");
  await page.ask({ type: "beside", round: "a", other: second, across: true });
  assert.deepEqual(asked.at(-1), { type: "beside", round: "a", other: "b", across: true });
  await page.ask({ type: "pause" }); // what runs is of the second study
  assert.deepEqual(asked.at(-1), { type: "pause", study: "other" });
});

test("where the store of one study is away, the other goes on", async () => {
  const { answers, page } = both();
  const { pulse } = answers;
  await page.ask({ type: "start" });
  await page.ask({ type: "pulse" });
  answers.pulse = (other) => (other ? { error: "away" } : { ...pulse(other), versions: { a: "w" } });
  const { versions, lost } = await page.ask({ type: "pulse" });
  assert.deepEqual([Object.values(versions), lost], [["w", "v"], "away"]);
  answers.pulse = () => ({ error: "both" });
  assert.deepEqual(await page.ask({ type: "pulse" }), { error: "both" });
});
