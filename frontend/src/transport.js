// @ts-check
// How messages reach the session. `ask` takes one and resolves to its answer: an object, or an ArrayBuffer.

/**
 * @typedef {{type: string, [field: string]: any}} Message
 * @typedef {{home: string, ask: (message: Message) => Promise<any>, close: () => void}} Transport
 */

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
  // A widget may be shown twice, and what it sends goes to every view: each knows its own questions.
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

// Notebooks hand out views into a larger buffer, whose start need not be a multiple of eight.
function exact(view) {
  if (view instanceof ArrayBuffer) return view;
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
}
