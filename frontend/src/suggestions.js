// Suggestions with their claims next to the proposal's, and a button that adopts the bounds as edits.
import { h, replace } from "./dom.js";

export function drawSuggestions(section, suggestions, take) {
  section.hidden = suggestions.length === 0;
  if (section.hidden) {
    replace(section);
    return;
  }
  const items = suggestions.map((each) =>
    h(
      "li",
      {},
      h("strong", {}, each.by || "unknown author"),
      `: ${each.text}. ${each.why ? `“${each.why}” ` : ""}`,
      h("button", { type: "button", onclick: () => take(each.edits) }, "use these bounds"),
    ),
  );
  replace(section, h("h2", {}, "Suggested"), h("ul", { class: "refine-suggested" }, items));
}

// All edits of a suggestion are one step for undo.
export function takeOver(choices, edits) {
  choices.remember();
  choices.edits = { ...edits };
  choices.rejected = new Set();
}
