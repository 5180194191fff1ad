// <insjo-grid>: a result of many rows. Only the rows in sight exist as elements; keys and selection work on all that are loaded.
import { el, formatNumber, icon, iconButton, requestJson, t, tn, withMod } from "./core.js";
import { showDialog } from "./dialogs.js";
import { fittingWidth, isNumber, sortedOrder, textOf, toCsv, toTabbed } from "./grid-values.js";
import { toast } from "./toasts.js";

const ROW_PX = 31;
const HEAD_PX = 35;
const OVERSCAN = 10;
const ROWS_MAX = 500000;
const VALUE_SHOWN_MAX = 400;
const COPY_CELLS_MAX = 2000000;
const NEAR_END_ROWS = 60;

/** @typedef {{name: string, type?: string}} Column */
/** @typedef {{columns: Column[], rows: unknown[][], complete?: boolean, total?: number, truncated?: boolean, name?: string}} Result */

let grids = 0;

export class InsjoGrid extends HTMLElement {
  /** @type {Column[]} */ columns = [];
  /** @type {unknown[][]} */ rows = [];
  /** @type {number[] | null} order of row numbers when sorted */ order = null;
  /** @type {number[]} */ widths = [];
  complete = true;
  truncated = false;
  total = 0;
  loading = false;
  fileName = "result";
  active = { row: 0, column: 0 };
  anchor = { row: 0, column: 0 };
  /** @type {{column: number, direction: "ascending" | "descending"} | null} */ sorted = null;
  /** @type {Map<number, HTMLElement>} */ shown = new Map();
  frame = 0;
  uid = `grid-${(grids += 1)}`;

  connectedCallback() {
    if (this.box) return;
    const given = this.querySelector("script[type='application/json']")?.textContent;
    this.build();
    if (given) this.setResult(JSON.parse(given));
    else if (!this.hidden) this.setResult({ columns: [], rows: [] });
  }

  build() {
    this.head = el("div", { class: "grid__head", role: "row", "aria-rowindex": "1" });
    this.body = el("div", { class: "grid__body", role: "rowgroup" });
    this.canvas = el("div", { class: "grid__canvas", role: "presentation" }, this.head, this.body);
    this.scroller = el("div", { class: "grid__scroll", role: "grid", tabindex: "0", "aria-label": this.dataset.label, "aria-multiselectable": "true" }, this.canvas);
    this.foot = el("div", { class: "grid__foot" });
    this.box = el("div", { class: "grid" }, this.scroller, this.foot);
    this.replaceChildren(this.box);
    this.scroller.addEventListener("scroll", () => this.paintSoon(), { passive: true });
    this.scroller.addEventListener("keydown", (event) => this.key(event));
    this.scroller.addEventListener("pointerdown", (event) => this.pressed(event));
    this.scroller.addEventListener("dblclick", (event) => event.target instanceof Element && event.target.closest(".grid__cell") && this.showValue());
    this.scroller.addEventListener("copy", (event) => this.copyEvent(event));
    this.scroller.addEventListener("focus", () => this.mark());
    this.scroller.addEventListener("blur", () => this.mark());
    new ResizeObserver(() => this.paintSoon()).observe(this.scroller);
  }

  /** Shows a result in place of what is shown. @param {Result} result */
  setResult({ columns, rows, complete = true, total, truncated = false, name = "result" }) {
    this.columns = columns;
    this.rows = rows.slice(0, ROWS_MAX);
    this.complete = complete;
    this.truncated = truncated || rows.length > ROWS_MAX;
    this.total = Math.max(total ?? 0, this.rows.length);
    this.fileName = name;
    this.order = null;
    this.sorted = null;
    this.active = { row: 0, column: 0 };
    this.anchor = { row: 0, column: 0 };
    this.widths = columns.map((column, index) => fittingWidth(column, this.rows, index));
    this.scroller.scrollTo(0, 0);
    this.paintHead();
    this.repaint();
  }

  /** Adds rows at the end. @param {unknown[][]} rows @param {{complete?: boolean}} [options] */
  appendRows(rows, { complete = true } = {}) {
    const room = ROWS_MAX - this.rows.length;
    for (const row of rows.slice(0, room)) this.rows.push(row);
    this.truncated ||= rows.length > room;
    this.complete = complete || this.rows.length >= ROWS_MAX;
    this.total = Math.max(this.total, this.rows.length);
    this.loading = false;
    this.paintHead();
    this.repaint();
  }

  /** A request for more rows has failed; the button comes back. */
  moreFailed() {
    this.loading = false;
    this.failedAt = this.rows.length;
    this.paintFoot();
  }

  repaint() {
    for (const row of this.shown.values()) row.remove();
    this.shown.clear();
    const height = this.rows.length * ROW_PX;
    this.body.style.blockSize = `${height}px`;
    this.scroller.style.blockSize = `${HEAD_PX + Math.max(height, ROW_PX) + 14}px`;
    this.scroller.hidden = !this.columns.length;
    this.scroller.setAttribute("aria-rowcount", String(this.complete ? this.rows.length + 1 : this.total > this.rows.length ? this.total + 1 : -1));
    this.scroller.setAttribute("aria-colcount", String(this.columns.length + 1));
    this.paint();
    this.paintFoot();
  }

  setWidths() {
    const characters = formatNumber(Math.max(this.rows.length, 1)).length;
    this.canvas.style.setProperty("--grid-columns", `${Math.max(38, characters * 7.5 + 20)}px ${this.widths.map((width) => `${width}px`).join(" ")} minmax(0, 1fr)`);
  }

  paintHead() {
    this.setWidths();
    const titles = this.columns.map((column, index) => this.heading(column, index));
    this.head.replaceChildren(el("div", { class: "grid__index", role: "columnheader", "aria-colindex": "1" }, el("span", { class: "visually-hidden", text: t("grid_row") })), ...titles);
  }

  /** @param {Column} column @param {number} index */
  heading(column, index) {
    const direction = this.sorted?.column === index ? this.sorted.direction : null;
    const arrow = direction ? icon(direction === "ascending" ? "arrow-up" : "arrow-down") : null;
    const kind = column.type ? el("small", { text: column.type.toLowerCase() }) : null;
    const sort = el("button", { class: "grid__sort", type: "button", tabindex: "-1", title: this.complete ? t("grid_sort_hint", { column: column.name }) : t("grid_sort_incomplete") }, el("span", { text: column.name }), kind, arrow);
    sort.addEventListener("click", () => this.sortBy(index));
    const edge = el("span", { class: "grid__edge", "aria-hidden": "true" });
    edge.addEventListener("pointerdown", (event) => this.resize(/** @type {PointerEvent} */ (event), index));
    edge.addEventListener("dblclick", () => {
      this.widths[index] = fittingWidth(column, this.rows, index);
      this.setWidths();
    });
    const attributes = { class: `grid__title${isNumber(column.type) ? " grid__title--number" : ""}`, role: "columnheader", "aria-colindex": String(index + 2), "aria-sort": direction ?? (this.complete ? "none" : null) };
    return el("div", attributes, sort, edge);
  }

  /** @param {PointerEvent} event @param {number} index */
  resize(event, index) {
    event.preventDefault();
    event.stopPropagation();
    const edge = /** @type {HTMLElement} */ (event.target);
    const start = event.clientX - this.widths[index];
    edge.setPointerCapture(event.pointerId);
    const move = (moved) => {
      this.widths[index] = Math.max(48, Math.min(1200, moved.clientX - start));
      this.setWidths();
    };
    edge.addEventListener("pointermove", move);
    edge.addEventListener("lostpointercapture", () => edge.removeEventListener("pointermove", move), { once: true });
  }

  /** @param {number} column */
  sortBy(column) {
    if (!this.complete) {
      toast(t("grid_sort_incomplete"));
      return;
    }
    const before = this.sorted?.column === column ? this.sorted.direction : null;
    const direction = before === null ? "ascending" : before === "ascending" ? "descending" : null;
    this.sorted = direction ? { column, direction } : null;
    this.order = direction ? sortedOrder(this.rows, column, this.columns[column].type, direction) : null;
    this.paintHead();
    this.repaint();
    this.scroller.focus({ preventScroll: true });
  }

  /** Values of the row that is shown at a position. @param {number} position */
  rowAt(position) {
    return this.rows[this.order ? this.order[position] : position];
  }

  paintSoon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  paint() {
    const top = this.scroller.scrollTop;
    const first = Math.max(0, Math.floor(top / ROW_PX) - OVERSCAN);
    const last = Math.min(this.rows.length, Math.ceil((top + this.scroller.clientHeight) / ROW_PX) + OVERSCAN);
    for (const [position, row] of this.shown) {
      if (position >= first && position < last) continue;
      row.remove();
      this.shown.delete(position);
    }
    const fresh = document.createDocumentFragment();
    for (let position = first; position < last; position += 1) {
      if (!this.shown.has(position)) fresh.append(this.row(position));
    }
    this.body.append(fresh);
    const nearEnd = last > this.rows.length - NEAR_END_ROWS;
    if (nearEnd && top > 0 && !this.complete && this.failedAt !== this.rows.length) this.more();
  }

  /** @param {number} position */
  row(position) {
    const made = el("div", { class: "grid__row", role: "row", "aria-rowindex": String(position + 2) });
    made.style.transform = `translateY(${position * ROW_PX}px)`;
    made.append(el("div", { class: "grid__index", role: "rowheader", "aria-colindex": "1", text: formatNumber(position + 1) }));
    const values = this.rowAt(position);
    for (let column = 0; column < this.columns.length; column += 1) made.append(this.cell(values[column], position, column));
    this.shown.set(position, made);
    this.markRow(position, made, this.selection());
    return made;
  }

  /** @param {unknown} value @param {number} position @param {number} column */
  cell(value, position, column) {
    const empty = value === null || value === undefined;
    const kind = `${isNumber(this.columns[column].type) ? " grid__cell--number" : ""}${empty ? " grid__cell--null" : ""}`;
    const attributes = { class: `grid__cell${kind}`, role: "gridcell", id: `${this.uid}-${position}-${column}`, "aria-colindex": String(column + 2), "data-row": position, "data-column": column };
    return el("div", { ...attributes, text: empty ? t("grid_null") : textOf(value).slice(0, VALUE_SHOWN_MAX).replace(/[\r\n]+/g, " ⏎ ") });
  }

  paintFoot() {
    const count = this.complete ? tn("grid_rows", this.rows.length) : t("grid_loaded", { loaded: formatNumber(this.rows.length), total: formatNumber(this.total) });
    const more = el("button", { class: "button button--ghost button--small", type: "button", text: this.loading ? t("loading") : t("grid_more"), on: { click: () => this.more() } });
    /** @type {HTMLButtonElement} */ (more).disabled = this.loading;
    this.picked = el("span", { "aria-live": "polite" });
    const tools = this.rows.length
      ? [iconButton("copy", t("grid_copy_all"), () => this.copyAll()), iconButton("download", t("grid_download"), () => this.download())]
      : [];
    this.foot.replaceChildren(el("span", { text: this.columns.length && !this.rows.length ? t("grid_empty") : count }), el("span", { class: "row" }, this.picked, this.complete ? null : more, ...tools));
    if (this.truncated) this.foot.firstElementChild?.append(" · ", t("grid_truncated"));
  }

  /** Asks for more rows: from `data-more-url`, else by the event `insjo-grid-more`. */
  async more() {
    if (this.loading || this.complete) return;
    this.loading = true;
    this.paintFoot();
    const { moreUrl } = this.dataset;
    if (!moreUrl) {
      this.dispatchEvent(new CustomEvent("insjo-grid-more", { bubbles: true, detail: { loaded: this.rows.length } }));
      return;
    }
    try {
      const address = new URL(moreUrl, location.href);
      address.searchParams.set("offset", String(this.rows.length));
      const reply = await requestJson(address.href);
      this.appendRows(reply.rows, { complete: reply.complete });
    } catch (error) {
      this.moreFailed();
      toast(error.message, "danger");
    }
  }

  /** The chosen rectangle, in positions. */
  selection() {
    const { row: r1, column: c1 } = this.anchor;
    const { row: r2, column: c2 } = this.active;
    return { top: Math.min(r1, r2), bottom: Math.max(r1, r2), left: Math.min(c1, c2), right: Math.max(c1, c2) };
  }

  mark() {
    const area = this.selection();
    for (const [position, row] of this.shown) this.markRow(position, row, area);
    if (this.rows.length) this.scroller.setAttribute("aria-activedescendant", `${this.uid}-${this.active.row}-${this.active.column}`);
    const cells = (area.bottom - area.top + 1) * (area.right - area.left + 1);
    if (this.picked) this.picked.textContent = cells > 1 ? t("grid_selection", { count: formatNumber(cells) }) : "";
  }

  /** @param {number} position @param {HTMLElement} row @param {{top: number, bottom: number, left: number, right: number}} area */
  markRow(position, row, { top, bottom, left, right }) {
    const within = (top !== bottom || left !== right) && position >= top && position <= bottom;
    const current = position === this.active.row && document.activeElement === this.scroller;
    if (!within && !current && !row.hasAttribute("data-marked")) return;
    row.toggleAttribute("data-marked", within || current);
    for (let column = 0; column < this.columns.length; column += 1) {
      const cell = row.children[column + 1];
      const chosen = within && column >= left && column <= right;
      const active = current && column === this.active.column;
      cell.classList.toggle("grid__cell--selected", chosen);
      cell.classList.toggle("grid__cell--active", active);
      if (chosen || active) cell.setAttribute("aria-selected", "true");
      else cell.removeAttribute("aria-selected");
    }
  }

  /** @param {number} row @param {number} column @param {boolean} extend */
  go(row, column, extend) {
    this.active = { row: Math.max(0, Math.min(row, this.rows.length - 1)), column: Math.max(0, Math.min(column, this.columns.length - 1)) };
    if (!extend) this.anchor = { ...this.active };
    this.reveal();
    this.paint();
    this.mark();
  }

  reveal() {
    const top = this.active.row * ROW_PX;
    const height = this.scroller.clientHeight - HEAD_PX;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + ROW_PX > this.scroller.scrollTop + height) this.scroller.scrollTop = top + ROW_PX - height;
    const index = /** @type {HTMLElement | null} */ (this.head.firstElementChild)?.offsetWidth ?? 0;
    const left = this.widths.slice(0, this.active.column).reduce((sum, width) => sum + width, 0);
    const right = left + this.widths[this.active.column] + index;
    if (left < this.scroller.scrollLeft) this.scroller.scrollLeft = left;
    else if (right > this.scroller.scrollLeft + this.scroller.clientWidth) this.scroller.scrollLeft = right - this.scroller.clientWidth;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.target !== this.scroller || !this.rows.length) return;
    const { row, column } = this.active;
    const page = Math.max(1, Math.floor((this.scroller.clientHeight - HEAD_PX) / ROW_PX) - 1);
    const lastRow = this.rows.length - 1;
    const lastColumn = this.columns.length - 1;
    const far = withMod(event);
    /** @type {Record<string, [number, number]>} */
    const moves = {
      ArrowDown: [far ? lastRow : row + 1, column],
      ArrowUp: [far ? 0 : row - 1, column],
      ArrowRight: [row, far ? lastColumn : column + 1],
      ArrowLeft: [row, far ? 0 : column - 1],
      PageDown: [row + page, column],
      PageUp: [row - page, column],
      Home: [far ? 0 : row, 0],
      End: [far ? lastRow : row, lastColumn],
    };
    if (event.key in moves) this.go(...moves[event.key], event.shiftKey);
    else if (far && event.key.toLowerCase() === "a") this.selectAll();
    else if (event.key === "Enter") this.showValue();
    else return;
    event.preventDefault();
  }

  selectAll() {
    this.anchor = { row: 0, column: 0 };
    this.active = { row: this.rows.length - 1, column: this.columns.length - 1 };
    this.mark();
  }

  /** @param {PointerEvent} event */
  pressed(event) {
    const cell = /** @type {HTMLElement | null} */ (event.target instanceof Element ? event.target.closest(".grid__cell") : null);
    if (!cell || event.button !== 0) return;
    this.go(Number(cell.dataset.row), Number(cell.dataset.column), event.shiftKey);
    if (event.pointerType !== "mouse") return;
    const move = (moved) => {
      const over = document.elementFromPoint(moved.clientX, moved.clientY)?.closest?.(".grid__cell");
      if (over instanceof HTMLElement && this.contains(over)) this.go(Number(over.dataset.row), Number(over.dataset.column), true);
    };
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", () => document.removeEventListener("pointermove", move), { once: true });
  }

  /** Text of a rectangle. @param {{top: number, bottom: number, left: number, right: number}} area */
  lines({ top, bottom, left, right }) {
    const lines = [];
    for (let position = top; position <= bottom; position += 1) lines.push(this.rowAt(position).slice(left, right + 1).map(textOf));
    return lines;
  }

  /** @param {ClipboardEvent} event */
  copyEvent(event) {
    const area = this.selection();
    const cells = (area.bottom - area.top + 1) * (area.right - area.left + 1);
    if (!this.rows.length || cells > COPY_CELLS_MAX) return;
    event.clipboardData?.setData("text/plain", toTabbed(this.lines(area)));
    event.preventDefault();
    toast(tn("grid_copied", cells), "ok");
  }

  all() {
    const names = this.columns.map((column) => column.name);
    return [names, ...this.lines({ top: 0, bottom: this.rows.length - 1, left: 0, right: this.columns.length - 1 })];
  }

  async copyAll() {
    try {
      await navigator.clipboard.writeText(toTabbed(this.all()));
      toast(t("copied"), "ok");
    } catch {
      toast(t("copy_failed"), "warn");
    }
  }

  download() {
    const address = URL.createObjectURL(new Blob([toCsv(this.all())], { type: "text/csv;charset=utf-8" }));
    const link = /** @type {HTMLAnchorElement} */ (el("a", { href: address, download: `${this.fileName}.csv` }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  showValue() {
    const value = this.rowAt(this.active.row)?.[this.active.column];
    const column = this.columns[this.active.column];
    if (!column) return;
    let text = value === null || value === undefined ? t("grid_null") : textOf(value);
    if (/^[[{]/.test(text)) {
      try {
        text = JSON.stringify(JSON.parse(text), null, 2);
      } catch {
        // Not JSON: it is shown as it is.
      }
    }
    const dialog = showDialog(t("grid_value", { column: column.name }), [el("pre", { class: "grid__value", tabindex: "0", text })], [], { wide: text.length > 500 });
    dialog.addEventListener("close", () => this.scroller.focus({ preventScroll: true }));
  }
}

customElements.define("insjo-grid", InsjoGrid);
