// The checks before a decision, and coupled parameters.
import { interpolateViridis } from "d3-scale-chromatic";
import { h, replace, s } from "./dom.js";
import { figureFold } from "./figures.js";

const MARKS = { pass: "✓", warn: "▲", fail: "✗", unknown: "?" };

export function drawChecks(element, checks, page) {
  replace(
    element,
    h(
      "ul",
      { class: "refine-checks" },
      checks.map((check) =>
        h(
          "li",
          { class: check.verdict, "data-check": check.key },
          h("span", { class: "refine-mark", "aria-hidden": "true" }, MARKS[check.verdict]),
          h("div", {}, h("strong", {}, `${check.question} `), h("span", { class: "refine-faint" }, check.number), h("p", {}, check.says), check.picture ? figureFold(page, check.picture, check.call) : null),
        ),
      ),
    ),
  );
}

export function drawPairs(element, pairs, open) {
  replace(
    element,
    h("p", {}, "Among the best trials, what is good for one of these depends on the other. Look at both before you move one alone."),
    h(
      "div",
      { class: "refine-pairs" },
      pairs.map((pair) => h("button", { type: "button", onclick: (event) => open(pair, event.currentTarget) }, `${pair.a} × ${pair.b}`)),
    ),
  );
}

/** Two parameters at every two of their levels as a picture, in which one cell can be lit. */
export function pairPicture(content, metric, direction) {
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
  const up = (i) => top + tall * (b.labels.length - 1 - i);
  b.labels.forEach((label, i) => {
    const y = up(i);
    parts.push(s("text", { x: left - 8, y: y + tall / 2 + 4, "text-anchor": "end" }, cut(label, 14)));
    a.labels.forEach((_, j) => {
      const value = content.median[i][j];
      parts.push(
        s("rect", { x: left + cell * j, y, width: cell - 1, height: tall - 1, fill: value === null ? "none" : shade(value), class: value === null ? "refine-empty" : "" }, s("title", {}, content.text[i][j])),
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
  const lit = s("path", { class: "refine-lit-cell", d: "" });
  const svg = s("svg", { class: "refine-pair", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Median ${metric} by ${a.name} and ${b.name}` }, parts, lit);
  const light = (at) => lit.setAttribute("d", at ? `M${left + cell * at[0]} ${up(at[1])}h${cell - 1}v${tall - 1}h${1 - cell}z` : "");
  return { svg, light };
}

export function pairDialog(content, metric, direction, opener, at) {
  const { a, b } = content;
  const picture = pairPicture(content, metric, direction);
  picture.light(at);
  const close = h("button", { type: "button" }, "close");
  const dialog = h("dialog", { class: "refine-dialog", "aria-label": `${a.name} and ${b.name}` }, h("h2", {}, `${a.name} × ${b.name}`), h("p", { class: "refine-faint" }, content.about), picture.svg, close);
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
