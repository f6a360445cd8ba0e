// @ts-check
// Sends messages to the session. `ask` resolves to the answer: an object, or an ArrayBuffer.

/**
 * @typedef {{type: string, [field: string]: any}} Message
 * @typedef {{home: string, ask: (message: Message) => Promise<any>, close: () => void}} Transport
 */

// Prefix of the ids of the second study's rounds on a page of two studies. Ids in a store never have the prefix.
const OTHER = "other:";

// Messages that start trials.
const RUNS = ["run", "add", "confirm"];

/** @param {string} id */
export const idOf = (id) => (id.startsWith(OTHER) ? id.slice(OTHER.length) : id);

/**
 * A transport to both studies of a page: messages about rounds of the second study go there, and general messages to both.
 * @param {Transport} transport @returns {Transport}
 */
export function paired(transport) {
  let several = false;
  const known = {}; // the last answers of both studies, by type
  let runs = false; // true if the last run belongs to the second study
  const one = async (message, other) => {
    const answer = await transport.ask(other ? { ...message, study: "other" } : message);
    return other && answer && !answer.error ? marked(answer) : answer;
  };
  return {
    ...transport,
    async ask(message) {
      if (several && ["pulse", "tree"].includes(message.type)) {
        const answers = await Promise.all([one(message, false), one(message, true)]);
        const lost = answers.find(({ error }) => error);
        // If a store cannot be reached, its last answer is used.
        const [first, second] = answers.map((answer, i) => (answer.error ? known[message.type]?.[i] : answer));
        if (answers.every(({ error }) => error) || !first || !second) return lost;
        known[message.type] = [first, second];
        if (message.type === "tree") return { ...first, other: second };
        runs = Boolean(second.job?.running || (second.job && !first.job?.running && runs));
        const both = (name) => ({ ...first[name], ...second[name] });
        return { progress: both("progress"), versions: both("versions"), job: (runs ? second : first).job, lost: lost?.error };
      }
      if (message.round === undefined) {
        const answer = await one(message, message.type === "pause" && runs);
        if (message.type === "start") several = answer.studies > 1;
        return answer;
      }
      const other = message.round.startsWith(OTHER);
      const answer = await one({ ...message, round: idOf(message.round), ...(message.other === undefined ? {} : { other: idOf(message.other) }) }, other);
      if (RUNS.includes(message.type) && !answer.error) runs = other;
      return answer;
    },
  };
}

const mark = (/** @type {string | null} */ id) => (id ? OTHER + id : id);

// An answer of the second study with the prefix on its ids.
function marked(answer) {
  const keys = (of) => Object.fromEntries(Object.entries(of).map(([id, value]) => [mark(id), value]));
  for (const name of ["id", "parent", "child", "winner"]) if (name in answer) answer[name] = mark(answer[name]);
  for (const name of ["progress", "versions"]) if (answer.versions && name in answer) answer[name] = keys(answer[name]);
  if (answer.job) answer.job = { ...answer.job, round: mark(answer.job.round) };
  if (answer.decided) answer.decided = answer.decided.map((decision) => ({ ...decision, child: mark(decision.child) }));
  if (answer.rounds) answer.rounds = answer.rounds.map((round) => ({ ...round, id: mark(round.id), parent: mark(round.parent) }));
  return answer;
}

/** @returns {Transport} */
export function browser() {
  return {
    home: "browser",
    async ask(message) {
      let answer;
      try {
        answer = await fetch("ask", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(message),
        });
      } catch {
        return { error: "The page's server does not answer. Is `refine review` still running?", away: true };
      }
      if (!answer.ok) return { error: `The page's server refused (${answer.status}).`, away: true };
      const binary = answer.headers.get("content-type") === "application/octet-stream";
      return binary ? answer.arrayBuffer() : answer.json();
    },
    close() {},
  };
}

/** @param {any} model @returns {Transport} */
export function notebook(model) {
  const waiting = new Map();
  // A widget may have several views, and its messages reach all of them: a view answers only its own requests.
  const view = crypto.getRandomValues(new Uint32Array(2)).join("-");
  let asked = 0;
  const heard = (content, buffers) => {
    const resolve = waiting.get(content?.number);
    if (resolve === undefined) return;
    waiting.delete(content.number);
    resolve("answer" in content ? content.answer : exact(buffers[0]));
  };
  model.on("msg:custom", heard);
  return {
    home: "notebook",
    ask(message) {
      asked += 1;
      const number = `${view}-${asked}`;
      return new Promise((resolve) => {
        waiting.set(number, resolve);
        model.send({ number, message });
      });
    },
    close() {
      model.off("msg:custom", heard);
    },
  };
}

// Notebooks pass views into a larger buffer, at an offset that may not be a multiple of eight.
function exact(view) {
  if (view instanceof ArrayBuffer) return view;
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
}
