// @ts-check
// Functions that create elements. Texts of users never become markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [attributes]
 * @param {any[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [attributes]
 * @param {any[]} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A link to a part of the page; unlike a button, it wraps like text. @param {() => void} go */
export function link(go) {
  return h("a", {
    class: "refine-link",
    href: "#",
    onclick: (/** @type {MouseEvent} */ event) => {
      event.preventDefault();
      go();
    },
  });
}

/**
 * Runs the action of a button once on a double click, because the button may have another action by then.
 * @param {MouseEvent} event @param {() => any} act
 */
export function once(event, act) {
  if (event.detail < 2) act();
}

// The folds that the person left open in this browser.
const KEY = "refine-open";

/** @returns {Set<string>} */
function opened() {
  try {
    return new Set(JSON.parse(localStorage.getItem(KEY) ?? "[]"));
  } catch {
    return new Set(); // storage is missing, for example in a frame
  }
}

/**
 * A fold that is open if the person left it open.
 * @param {string} name @param {string} title @param {any} about one line next to the title @param {any[]} children
 */
export function fold(name, title, about, ...children) {
  const element = h("details", { class: "refine-fold", "data-fold": name, open: opened().has(name) }, h("summary", {}, h("h2", {}, title), about), ...children);
  element.addEventListener("toggle", () => {
    const names = opened();
    names[element.open ? "add" : "delete"](name);
    try {
      localStorage.setItem(KEY, JSON.stringify([...names]));
    } catch {
      // the fold is open until the page is closed
    }
  });
  return element;
}

/**
 * Opens a fold and the folds around it, and scrolls to it.
 * @param {HTMLDetailsElement} element @param {ScrollLogicalPosition} block
 */
export function reveal(element, block = "center") {
  for (let part = element; part; part = part.parentElement?.closest("details")) part.open = true;
  element.scrollIntoView({ block });
}

// Control characters and letters that change the writing direction can disguise a text.
const OBEYED = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Spells out such letters in every text of an element, also in texts added later.
 * @param {Element} root
 */
export function seen(root) {
  const clean = (/** @type {Node} */ node) => {
    if (!(node instanceof Text)) node.childNodes.forEach(clean);
    else if (node.data.search(OBEYED) >= 0) node.data = node.data.replace(OBEYED, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
  };
  new MutationObserver((changes) => changes.forEach(({ target, addedNodes, type }) => (type === "characterData" ? clean(target) : addedNodes.forEach(clean)))).observe(root, { childList: true, characterData: true, subtree: true });
}

/** @param {Element} element @param {any[]} children */
export function replace(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}
