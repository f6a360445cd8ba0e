// What to ask before deciding, and coupled parameters.
import { interpolateViridis } from "d3-scale-chromatic";
import { h, replace, s } from "./dom.js";
import { q, score } from "./words.js";

const MARKS = { pass: "✓", warn: "▲", fail: "✗", unknown: "?" };

export function drawGate(element, cards) {
  const order = { fail: 0, warn: 1, unknown: 2, pass: 3 };
  const sorted = [...cards].sort((a, b) => order[a.verdict] - order[b.verdict]);
  replace(
    element,
    h("h2", {}, "Before you decide"),
    h(
      "ul",
      { class: "refine-gate" },
      sorted.map((card) =>
        h(
          "li",
          { class: card.verdict, "data-card": card.key },
          h("span", { class: "refine-mark", "aria-hidden": "true" }, MARKS[card.verdict]),
          h("div", {}, h("strong", {}, `${card.question} `), h("span", { class: "refine-faint" }, `${card.verdict}: ${card.number}`), h("p", {}, card.says), card.call ? h("code", {}, card.call) : null),
        ),
      ),
    ),
  );
}

export function drawPairs(element, pairs, open) {
  if (pairs.length === 0) {
    replace(element);
    return;
  }
  replace(
    element,
    h("h2", {}, "Coupled parameters"),
    h("p", {}, "Among the best trials, what is good for one of these depends on the other: look before you move one alone."),
    h(
      "div",
      { class: "refine-pairs" },
      pairs.map((pair) => h("button", { type: "button", onclick: (event) => open(pair, event.currentTarget) }, `${pair.a} × ${pair.b}`, h("span", { class: "refine-faint" }, ` ${q(pair.q)}`))),
    ),
  );
}

export function pairDialog(content, metric, direction, opener) {
  const { a, b } = content;
  const [left, top, cell] = [110, 8, Math.max(22, Math.min(46, Math.floor(560 / a.labels.length)))];
  const tall = Math.max(20, Math.min(34, Math.floor(380 / b.labels.length)));
  const width = left + cell * a.labels.length + 10;
  const height = top + tall * b.labels.length + 44;
  const values = content.median.flat().filter((value) => value !== null);
  const ends = [Math.min(...values), Math.max(...values)];
  const shade = (value) => {
    const share = ends[1] > ends[0] ? (value - ends[0]) / (ends[1] - ends[0]) : 0.5;
    return interpolateViridis(direction === "maximize" ? share : 1 - share);
  };
  const most = Math.max(1, ...content.good.flat());
  const parts = [];
  b.labels.forEach((label, i) => {
    const y = top + tall * (b.labels.length - 1 - i);
    parts.push(s("text", { x: left - 8, y: y + tall / 2 + 4, "text-anchor": "end" }, cut(label, 14)));
    a.labels.forEach((_, j) => {
      const value = content.median[i][j];
      const text = value === null ? "no trial" : `median ${metric} ${score(value)}, ${content.n[i][j]} trials, ${content.good[i][j]} of them good`;
      parts.push(
        s("rect", { x: left + cell * j, y, width: cell - 1, height: tall - 1, fill: value === null ? "none" : shade(value), class: value === null ? "refine-empty" : "" }, s("title", {}, `${a.name} = ${a.labels[j]}, ${b.name} = ${label}: ${text}`)),
      );
      if (content.good[i][j]) {
        parts.push(s("circle", { cx: left + cell * (j + 0.5), cy: y + tall / 2, r: (0.36 * Math.min(cell, tall) * Math.sqrt(content.good[i][j])) / Math.sqrt(most), class: "refine-good-dot" }));
      }
    });
  });
  a.labels.forEach((label, j) => {
    if (cell < 30 && j % 2) return;
    parts.push(s("text", { x: left + cell * (j + 0.5), y: top + tall * b.labels.length + 16, "text-anchor": "middle" }, cut(label, 8)));
  });
  parts.push(s("text", { x: left + (cell * a.labels.length) / 2, y: height - 8, "text-anchor": "middle", class: "refine-label" }, a.name));
  const close = h("button", { type: "button" }, "close");
  const dialog = h(
    "dialog",
    { class: "refine-dialog", "aria-label": `${a.name} and ${b.name}` },
    h("h2", {}, `${a.name} × ${b.name}`),
    h("p", { class: "refine-faint" }, `Median ${metric} at every two levels, lighter is better; a circle's area is the number of good trials. ${b.name} is vertical.`),
    s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Median ${metric} by ${a.name} and ${b.name}` }, parts),
    close,
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    opener?.focus();
  });
  return dialog;
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
