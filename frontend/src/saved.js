// @ts-check
// The page in a file: the file holds the answers, and edits are shown as Python code.

/** @param {string} text base64 @returns {Uint8Array<ArrayBuffer>} */
const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** Type of an answer -> the field that distinguishes its answers about one round. */
const ABOUT = { round: "risk", preview: "risk", trial: "number", figure: "name", beside: "other" };

/** The command for content that the file lacks. */
const TYPED = {
  figure: ({ name, about = [] }) => `.plot.${name}(${about.map((each) => JSON.stringify(each)).join(", ")})`,
  beside: ({ other }) => `.diff("${other}")`,
};

/**
 * @param {string} packed base64 of the answers of each study by {@link keyOf}, as JSON in gzip
 * @returns {Promise<import("./transport.js").Transport>}
 */
export async function saved(packed) {
  const stream = new Blob([bytesOf(packed.trim())]).stream().pipeThrough(new DecompressionStream("gzip"));
  return answering(await new Response(stream).json());
}

/** @param {Record<string, any>[]} studies the answers of each @returns {import("./transport.js").Transport} */
export function answering(studies) {
  return {
    home: "saved",
    async ask(/** @type {any} */ message) {
      const answers = studies[message.study ? 1 : 0];
      if (message.type === "part") return part(answers[`list ${message.round}`], answers[`rows ${message.round}`], message);
      const found = answers[keyOf(message)];
      if (found === undefined) return { error: `Not included in this exported page. In Python: tree["${message.round}"]${TYPED[message.type]?.(message) ?? ""}` };
      if (found.bytes !== undefined) return bytesOf(found.bytes).buffer;
      const answer = structuredClone(found); // the page changes its answers
      return message.type === "preview" ? edited(answer, message, answers[keyOf({ ...message, type: "round" })].review.panels) : answer;
    },
    close() {},
  };
}

const keyOf = (message) => [message.type, message.round, message[ABOUT[message.type]]].filter((each) => each !== undefined).join(" ");

// Only Python can judge edits, so the page shows the lines to type.
function edited(answer, { edits, rejected, note, sized, n }, panels) {
  const list = (texts) => texts.join(", ");
  const spelt = (name, { bounds, keep }) => (bounds ? `(${list(bounds)})` : keep ? `[${list(keep.map((i) => panels.find((panel) => panel.name === name).spelt[i]))}]` : null);
  const values = Object.entries(edits).map(([name, edit]) => [name, spelt(name, edit)]);
  const odd = values.find(([, value]) => value === null);
  if (odd) return { error: `${odd[0]}: this edit needs Python: review.edit(...)` };
  const [first, ...rest] = answer.code.split("\n");
  const lines = [first];
  if (values.length) lines.push(`review = review.edit({${list(values.map(([name, value]) => `${JSON.stringify(name)}: ${value}`))}})`);
  if (rejected.length) lines.push(`review = review.reject(${list(rejected.map((name) => JSON.stringify(name)))})`);
  let last = rest.join("\n");
  if (sized) last = last.replace(/\bn=\d+/, `n=${n}`);
  if (note) last = last.replace("review.accept(", () => `review.accept(note=${JSON.stringify(note)}, `);
  const code = [...lines, last].join("\n");
  if (lines.length === 1 && !sized) return { ...answer, code };
  // The numbers are still those of the proposal; the page says so.
  return { ...answer, code, unjudged: true, takes: "", warning: "" };
}

// Rows of the list, sorted and filtered like in the session; missing values come last.
function part({ columns, n }, { rows, values }, { by, descending, filters = {}, offset = 0 }) {
  const at = new Map(columns.map(({ name }, i) => [name, i]));
  const valueOf = (name, { number, cells }) => (name === "number" ? number : name in values ? values[name][number] : cells[at.get(name)] || null);
  const passes = (row) =>
    Object.entries(filters).every(([name, { low, high, is, holds }]) => {
      const [value, text] = [valueOf(name, row), row.cells[at.get(name)]];
      const inside = (low === undefined && high === undefined) || (value !== null && value >= (low ?? -Infinity) && value <= (high ?? Infinity));
      return inside && (is === undefined || text === is) && (holds === undefined || text.toLowerCase().includes(holds.toLowerCase()));
    });
  const sign = descending ? -1 : 1;
  const compared = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : a < b ? -sign : sign);
  const listed = rows.filter(passes).sort((a, b) => compared(valueOf(by, a), valueOf(by, b)));
  const trials = `${n.toLocaleString("en")} ${n === 1 ? "trial" : "trials"}`;
  return { total: listed.length, listed: listed.length, text: listed.length === n ? trials : `${listed.length.toLocaleString("en")} of ${trials}`, offset, rows: listed.slice(offset, offset + 100) };
}
