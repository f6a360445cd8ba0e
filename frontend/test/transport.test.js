import assert from "node:assert/strict";
import { test } from "node:test";
import { notebook, paired } from "../src/transport.js";

function model() {
  const heard = [];
  return { sent: [], heard, on: (_, call) => heard.push(call), off: (_, call) => heard.splice(heard.indexOf(call), 1), send(content) { this.sent.push(content); } };
}

test("a notebook's answers go to the question they are for, and to this view alone", async () => {
  const one = model();
  const here = notebook(one);
  const first = here.ask({ type: "pulse" });
  const second = here.ask({ type: "tree" });
  const numbers = one.sent.map((content) => content.number);
  assert.notEqual(numbers[0], numbers[1]);
  one.heard[0]({ number: "another-1", answer: "not mine" }, []);
  one.heard[0]({ number: numbers[1], answer: { name: "tree" } }, []);
  one.heard[0]({ number: numbers[0], answer: { progress: {} } }, []);
  assert.deepEqual([await first, await second], [{ progress: {} }, { name: "tree" }]);
  here.close();
  assert.equal(one.heard.length, 0);
});

test("bytes that are a view into more are read from where they begin", async () => {
  const one = model();
  const answer = notebook(one).ask({ type: "trials", round: "a" });
  const whole = new Uint8Array([9, 9, 9, 1, 2, 3]);
  one.heard[0]({ number: one.sent[0].number }, [new DataView(whole.buffer, 3)]);
  assert.deepEqual([...new Uint8Array(await answer)], [1, 2, 3]);
});

test("trials of the second study are followed as its own, and its decisions lead to its rounds", async () => {
  const asked = [];
  const transport = paired({
    home: "browser",
    close() {},
    async ask(message) {
      asked.push(message);
      if (message.type === "start") return { studies: 2 };
      if (message.type === "round") return { id: message.round, parent: null, decided: [{ text: "accepted", child: "b" }] };
      return { progress: {}, versions: {}, job: message.study ? { round: "a", running: true } : { round: "a", running: false } };
    },
  });
  await transport.ask({ type: "start" });
  const { id, decided } = await transport.ask({ type: "round", round: "other:a" });
  assert.deepEqual([id, decided[0].child], ["other:a", "other:b"]);
  await transport.ask({ type: "add", round: "other:a", n: 3 });
  await transport.ask({ type: "pause" });
  assert.deepEqual(asked.at(-1), { type: "pause", study: "other" });
});
