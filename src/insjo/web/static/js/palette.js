// The command palette: pages, tables and documents by a few letters, and the assistant as the last resort.
import { el, icon, requestJson, t, withMod } from "./core.js";

const WAIT_MS = 120;
const RECENT_KEY = "insjo.palette.recent";
const RECENT_MAX = 6;
const SHOWN_MAX = 40;
const ICONS = { page: "arrow-right", table: "table-2", view: "view", document: "file-text", catalog: "database", schema: "boxes", volume: "folder", endpoint: "cpu", agent: "bot", model: "brain" };
const GROUPS = { page: "palette_pages", table: "palette_table", view: "palette_table", document: "palette_document" };

/** @typedef {{title: string, path: string, kind: string, note?: string, icon?: string}} Entry */

/** @returns {Entry[]} */
function readRecent() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(RECENT_KEY) ?? "[]");
    return Array.isArray(kept) ? kept.slice(0, RECENT_MAX) : [];
  } catch {
    return [];
  }
}

/** Kept for this browser session only: titles of tables are nobody else's business. @param {Entry} entry */
function keepRecent(entry) {
  const others = readRecent().filter((kept) => kept.path !== entry.path);
  try {
    sessionStorage.setItem(RECENT_KEY, JSON.stringify([entry, ...others].slice(0, RECENT_MAX)));
  } catch {
    // A browser without storage loses nothing but this list.
  }
}

class InsjoPalette extends HTMLElement {
  /** @type {Entry[]} */
  entries = [];
  active = 0;
  query = "";
  timer = 0;
  /** @type {AbortController | null} */
  asking = null;

  connectedCallback() {
    this.dialog = /** @type {HTMLDialogElement} */ (this.closest("dialog"));
    this.input = /** @type {HTMLInputElement} */ (this.querySelector("input"));
    this.list = /** @type {HTMLElement} */ (this.querySelector("[role=listbox]"));
    this.input.addEventListener("input", () => this.search(WAIT_MS));
    this.addEventListener("keydown", (event) => this.key(event));
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  open() {
    if (this.dialog.open) return;
    this.input.value = "";
    this.dialog.showModal();
    this.input.focus();
    this.search(0);
  }

  /** @param {number} wait_ms */
  search(wait_ms) {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.ask(), wait_ms);
  }

  async ask() {
    this.asking?.abort();
    this.asking = new AbortController();
    const query = this.input.value.trim();
    try {
      const found = await requestJson(`${this.dataset.url}?q=${encodeURIComponent(query)}`, { signal: this.asking.signal });
      this.show(query, Array.isArray(found) ? found.slice(0, SHOWN_MAX) : []);
    } catch (error) {
      if (error.name !== "AbortError") this.list.replaceChildren(el("p", { class: "palette__empty", text: error.message }));
    }
  }

  /** @param {string} query @param {Entry[]} found */
  show(query, found) {
    const recent = query ? [] : readRecent();
    const known = new Set(recent.map((entry) => entry.path));
    const rest = found.filter((entry) => !known.has(entry.path));
    this.query = query;
    this.entries = [...recent, ...rest];
    if (query) this.entries.push({ title: t("palette_ask", { query }), path: "", kind: "ask", icon: "sparkles" });
    this.list.replaceChildren();
    let group = "";
    this.entries.forEach((entry, index) => {
      const named = index < recent.length ? "palette_recent" : entry.kind === "ask" ? "" : GROUPS[entry.kind] ?? "palette_other";
      if (named && named !== group) this.list.append(el("div", { class: "palette__group", role: "presentation", text: t(named) }));
      group = named;
      this.list.append(this.item(entry, index));
    });
    if (!found.length && query) this.list.prepend(el("p", { class: "palette__empty", text: t("palette_empty", { query }) }));
    this.move(0);
  }

  /** @param {Entry} entry @param {number} index */
  item(entry, index) {
    const picture = icon(entry.icon ?? ICONS[entry.kind] ?? "arrow-right");
    const note = entry.note ?? (entry.kind === "page" ? entry.path : "");
    const attributes = { class: "palette__item", role: "option", id: `palette-${index}`, "aria-selected": "false" };
    const made = el("div", attributes, picture, el("span", { text: entry.title }), note ? el("small", { text: note }) : null);
    made.addEventListener("click", (event) => this.choose(index, event.ctrlKey || event.metaKey));
    made.addEventListener("pointermove", () => this.active !== index && this.move(index, false));
    return made;
  }

  /** @param {number} index @param {boolean} [scroll] */
  move(index, scroll = true) {
    this.active = Math.max(0, Math.min(index, this.entries.length - 1));
    for (const option of this.list.querySelectorAll("[role=option]")) {
      const chosen = option.id === `palette-${this.active}`;
      option.setAttribute("aria-selected", String(chosen));
      if (chosen && scroll) option.scrollIntoView({ block: "nearest" });
    }
    this.input.setAttribute("aria-activedescendant", this.entries.length ? `palette-${this.active}` : "");
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const count = this.entries.length;
    const next = { ArrowDown: (this.active + 1) % count, ArrowUp: (this.active - 1 + count) % count, PageDown: this.active + 8, PageUp: this.active - 8 }[event.key];
    if (next !== undefined && count) {
      event.preventDefault();
      this.move(next);
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      // Whoever types fast means what is typed, not the list that still shows what was typed before.
      if (this.input.value.trim() === this.query) this.choose(this.active, withMod(event));
      else this.chooseFirst(withMod(event));
    }
  }

  /** @param {boolean} elsewhere */
  async chooseFirst(elsewhere) {
    window.clearTimeout(this.timer);
    await this.ask();
    if (this.input.value.trim() === this.query) this.choose(0, elsewhere);
  }

  /** @param {number} index @param {boolean} elsewhere */
  choose(index, elsewhere) {
    const entry = this.entries[index];
    if (!entry) return;
    this.dialog.close();
    if (entry.kind === "ask") {
      document.dispatchEvent(new CustomEvent("insjo-ask", { detail: { question: this.query } }));
      return;
    }
    keepRecent({ title: entry.title, path: entry.path, kind: entry.kind, icon: entry.icon, note: entry.note });
    const address = new URL(entry.path, location.origin);
    if (address.origin !== location.origin) return;
    if (elsewhere) window.open(address.href, "_blank", "noopener");
    else location.assign(address.href);
  }
}

/** Registers the palette and its shortcut. */
export function startPalette() {
  customElements.define("insjo-palette", InsjoPalette);
  const open = () => /** @type {InsjoPalette | null} */ (document.querySelector("insjo-palette"))?.open();
  document.addEventListener("keydown", (event) => {
    if (!withMod(event) || event.shiftKey || event.key.toLowerCase() !== "k") return;
    event.preventDefault();
    open();
  });
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("[data-palette-open]")) open();
  });
}
