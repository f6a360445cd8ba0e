// The checks before a decision, and coupled parameters.
import { h, replace } from "./dom.js";
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
          h("div", {}, h("span", { class: "refine-unseen" }, `${check.verdict}: `), h("strong", {}, `${check.question} `), h("span", { class: "refine-faint" }, check.number), h("p", {}, check.says), check.picture ? figureFold(page, check.picture, check.call) : null),
        ),
      ),
    ),
  );
}

export function drawPairs(element, pairs, page) {
  replace(
    element,
    h("p", {}, "Among the top trials, the best value of one parameter depends on the other. Look at both before you change one."),
    pairs.map(({ a, b }) => figureFold(page, { name: "pair", about: [a, b] }, "", `${a} × ${b}`)),
  );
}
