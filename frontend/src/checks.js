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
          h("strong", {}, h("span", { class: "refine-unseen" }, `${check.verdict}: `), check.question),
          h("div", {}, h("p", {}, check.says), check.picture ? pictureOf(page, check) : null),
          h("span", { class: "refine-faint refine-check-number" }, check.number === "-" ? "" : check.number),
        ),
      ),
    ),
  );
}

// The figure of a check. The history of the round is a separate view.
function pictureOf(page, { picture, call }) {
  if (picture.name === "best_so_far") return h("button", { type: "button", class: "refine-link", onclick: () => page.views.open("history") }, "see the history");
  return figureFold(page, picture, call);
}

export function drawPairs(element, pairs, page) {
  replace(
    element,
    h("p", {}, "Among the top trials, the best value of one parameter depends on the other. Look at both before you change one."),
    pairs.map(({ a, b }) => figureFold(page, { name: "pair", about: [a, b] }, "", `${a} × ${b}`)),
  );
}
