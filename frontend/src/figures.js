// Figures drawn by Python in the colours of the page. They are images, so their texts cannot become markup.
import { h, replace } from "./dom.js";

const WIDE = 980; // width in pixels from which a figure is drawn for a wide screen

/**
 * Shows a figure of `round.plot` in an element.
 * @param {import("./page.js").Page} page
 * @param {HTMLElement} element
 * @param {{name: string, about?: string[]}} what
 */
export async function showFigure(page, element, { name, about = [] }) {
  const { round } = page;
  const drawn = page.review === null ? { round: round.id, proposal: null } : page.drawn;
  const dark = getComputedStyle(page.root).colorScheme === "dark";
  const wide = element.clientWidth > WIDE;
  const key = JSON.stringify([round.id, round.version, drawn.proposal, name, about, dark, wide]);
  if (element.dataset.figure === key) return;
  element.dataset.figure = key;
  replace(element, h("p", { class: "refine-faint" }, "Drawing …"));
  const answer = await page.transport.ask({ type: "figure", ...drawn, name, about, dark, wide });
  if (element.dataset.figure !== key) return;
  if (answer.error) {
    delete element.dataset.figure;
    replace(element, h("p", { class: "refine-faint" }, answer.error));
    return;
  }
  const source = `data:image/svg+xml,${encodeURIComponent(answer.svg)}`;
  replace(element, h("img", { class: "refine-figure", src: source, alt: answer.text }));
}

/** A fold that draws its figure when opened. */
export function figureFold(page, what, call, title = "figure") {
  const place = h("div", {});
  return h(
    "details",
    {
      class: "refine-figure-fold",
      ontoggle: (event) => {
        if (event.currentTarget.open) showFigure(page, place, what);
      },
    },
    h("summary", {}, title),
    place,
    call ? h("code", {}, call) : null,
  );
}
