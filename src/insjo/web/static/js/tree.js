// <insjo-tree>: a tree with a search field. What is typed filters the tree at once, and asks the server for what the tree leaves out.
import { el, icon, requestJson, t } from "./core.js";

const WAIT_MS = 220;

class InsjoTree extends HTMLElement {
  connectedCallback() {
    this.field = /** @type {HTMLInputElement} */ (this.querySelector("input[type=search]"));
    this.found = /** @type {HTMLElement} */ (this.querySelector("[data-found]"));
    this.nav = /** @type {HTMLElement} */ (this.querySelector("nav"));
    this.open = [...this.querySelectorAll("details")].map((branch) => branch.open);
    this.field.addEventListener("input", () => this.typed());
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.field.value) return;
      this.field.value = "";
      this.typed();
    });
    this.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }

  typed() {
    const query = this.field.value.trim().toLowerCase();
    this.filter(query);
    window.clearTimeout(this.timer);
    this.found.replaceChildren();
    if (query.length > 1 && this.dataset.searchUrl) this.timer = window.setTimeout(() => this.search(query), WAIT_MS);
  }

  /** @param {string} query */
  filter(query) {
    const branches = [...this.querySelectorAll("details")];
    if (!query) {
      for (const node of this.nav.querySelectorAll("li")) node.hidden = false;
      branches.forEach((branch, index) => (branch.open = this.open[index]));
      return;
    }
    const show = (node) => {
      const own = node.querySelector(":scope > .tree__row, :scope > details > .tree__row, :scope > .tree__pair > .tree__row");
      const children = [...node.querySelectorAll(":scope > details > ul > li")];
      const named = (own?.textContent ?? "").toLowerCase().includes(query);
      const inside = children.map((child) => show(child)).some(Boolean);
      if (named && !inside) for (const child of children) child.hidden = false;
      node.hidden = !named && !inside;
      const branch = node.querySelector(":scope > details");
      if (branch) branch.open = inside;
      return !node.hidden;
    };
    for (const node of this.nav.querySelectorAll(":scope > ul > li")) show(node);
  }

  /** @param {string} query */
  async search(query) {
    try {
      const { found } = await requestJson(`${this.dataset.searchUrl}?q=${encodeURIComponent(query)}`);
      if (query !== this.field.value.trim().toLowerCase()) return;
      const shown = found.map(({ name, href, picture, note }) => el("li", {}, this.entry(name, href, picture, note)));
      this.found.replaceChildren(...(shown.length ? [el("p", { class: "tree__heading", text: t("tree_found") }), el("ul", { class: "tree" }, ...shown)] : [el("p", { class: "tree__heading", text: t("tree_nothing") })]));
    } catch (error) {
      this.found.replaceChildren(el("p", { class: "tree__heading", role: "alert", text: error.message }));
    }
  }

  /** @param {string} name @param {string} href @param {string} picture @param {string} note */
  entry(name, href, picture, note) {
    const content = [icon(picture), el("span", { text: name }), note ? el("small", { text: note }) : null];
    if (this.dataset.inserts === undefined) return el("a", { class: "tree__row tree__leaf", href, title: name }, ...content);
    return el("button", { class: "tree__row tree__leaf", type: "button", title: t("tree_insert", { name }), "data-insert-sql": name }, ...content);
  }
}

customElements.define("insjo-tree", InsjoTree);
