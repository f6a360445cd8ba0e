// The front end has three homes: `render` is what a notebook calls, `mount` what the page in a browser does, `open` a file.
import { Page } from "./page.js";
import { saved } from "./saved.js";
import { browser, notebook, paired } from "./transport.js";

export default {
  render({ model, el }) {
    // What a saved notebook shows, in which nobody answers.
    const glance = document.createElement("div");
    glance.innerHTML = model.get("glance");
    // The same review is an output of its own, for where no widget is drawn, as in an exported notebook without a network.
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
