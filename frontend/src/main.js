// The front end has two homes: `render` is what a notebook calls, `mount` what the page in a browser does.
import { Page } from "./page.js";
import { browser, notebook } from "./transport.js";

export default {
  render({ model, el }) {
    const page = new Page(el, notebook(model));
    return () => page.close();
  },
  mount(el) {
    return new Page(el, browser());
  },
};
