// The entry points of the front end: `render` for a notebook, `mount` for the page in a browser, `open` for a saved file.
import { Page } from "./page.js";
import { saved } from "./saved.js";
import { browser, notebook, paired } from "./transport.js";

export default {
  render({ model, el }) {
    // The content of a saved notebook, which has no session.
    const glance = document.createElement("div");
    glance.innerHTML = model.get("glance");
    // A separate output shows the same review if no widget can be drawn, for example in an exported notebook.
    const style = document.createElement("style");
    style.textContent = `.${model.get("fallback")} { display: none; }`;
    el.append(glance, style);
    const page = new Page(el, notebook(model));
    page.ready.then(() => page.round && glance.remove());
    return () => page.close();
  },
  mount(el) {
    return new Page(el, paired(browser()));
  },
  async open(el, packed) {
    return new Page(el, paired(await saved(packed)));
  },
};
