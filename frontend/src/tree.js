// The trees at the side: rounds as a nested list of buttons.
import { h, replace } from "./dom.js";
import { idOf } from "./transport.js";

export function drawTree(element, trees, shown, choose) {
  replace(element, trees.flatMap((tree, i) => treeOf(tree, shown, choose, trees.length > 1 ? `refine-study-${i}` : null)));
}

function treeOf(tree, shown, choose, kind) {
  const below = new Map();
  for (const round of tree.rounds) {
    const siblings = below.get(round.parent) ?? [];
    siblings.push(round);
    below.set(round.parent, siblings);
  }
  const grow = (parent) => {
    const rounds = below.get(parent) ?? [];
    if (rounds.length === 0) return null;
    return h(
      "ul",
      {},
      rounds.map((round) => h("li", {}, node(round), grow(round.id))),
    );
  };
  const node = (round) => {
    return h(
      "button",
      { type: "button", "aria-current": round.id === shown ? "true" : null, "data-round": round.id, title: idOf(round.id), onclick: () => choose(round.id) },
      h(
        "span",
        { class: "refine-node" },
        h("strong", {}, round.name),
        round.id === tree.winner ? h("span", { class: "refine-star", title: "has the best observed trial of the study" }, "★ best") : null,
        round.tags.map((tag) => h("span", { class: "refine-badge" }, tag)),
      ),
      h("span", { class: "refine-faint" }, round.about),
      round.note ? h("span", { class: "refine-note" }, round.note) : null,
    );
  };
  return [h("h2", { class: kind }, tree.title), grow(null)];
}
