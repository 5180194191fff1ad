// <insjo-grid>: a result of many rows. Only the rows in sight exist as elements; keys and selection work on all of them.
// Rows are held here, or stay on the server and are fetched as they come into sight (`fetchRows`).
import { el, formatNumber, icon, iconButton, requestJson, t, tn, withMod } from "./core.js";
import { passes, readFilter } from "./grid-filters.js";
import { downloadMenu, filterField, showWhole } from "./grid-parts.js";
import { fittingWidth, isNumber, sortedOrder, textOf, toCsv, toTabbed } from "./grid-values.js";
import { RowStore } from "./row-store.js";
import { toast } from "./toasts.js";

const ROW_PX = 31;
const HEAD_PX = 35;
const FILTER_PX = 34;
// Browsers do not make elements of any height: above this one the scroll bar moves faster than the rows.
const HEIGHT_MAX_PX = 12000000;
const FILTER_WAIT_MS = 450;
const COPY_ROWS_MAX = 100000;
const OVERSCAN = 10;
const ROWS_MAX = 500000;
const VALUE_SHOWN_MAX = 400;
const COPY_CELLS_MAX = 2000000;
const NEAR_END_ROWS = 60;

/** @typedef {{name: string, type?: string}} Column */
/** @typedef {{column: number, direction: "ascending" | "descending"}} Sorted */
/**
 * @typedef {{columns: Column[], rows: unknown[][], complete?: boolean, total?: number, truncated?: boolean, name?: string,
 *   fetchRows?: import("./row-store.js").FetchRows, sorted?: Sorted | null, filters?: Map<number, string>, refines?: boolean, downloads?: DownloadLinks}} Result
 */
/** @typedef {import("./grid-parts.js").DownloadLinks} DownloadLinks */

let grids = 0;

export class InsjoGrid extends HTMLElement {
  /** @type {Column[]} */ columns = [];
  /** @type {unknown[][]} */ rows = [];
  /** @type {RowStore | null} rows that stay on the server */ store = null;
  /** @type {number[] | null} numbers of the rows shown, when sorted or filtered */ order = null;
  /** @type {Map<number, string>} what is typed above the columns */ filters = new Map();
  filtering = false;
  refines = false;
  /** @type {DownloadLinks | null} */ downloads = null;
  /** Position in pixels on a canvas of full height; differs from the scroll bar's when the rows are very many. */
  virtualTop = 0;
  /** @type {number[]} */ widths = [];
  complete = true;
  truncated = false;
  total = 0;
  loading = false;
  fileName = "result";
  active = { row: 0, column: 0 };
  anchor = { row: 0, column: 0 };
  /** @type {Sorted | null} */ sorted = null;
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
    this.filterRow = el("div", { class: "grid__filters", role: "row", hidden: true });
    this.canvas = el("div", { class: "grid__canvas", role: "presentation" }, this.head, this.filterRow, this.body);
    this.scroller = el("div", { class: "grid__scroll", role: "grid", tabindex: "0", "aria-label": this.dataset.label, "aria-multiselectable": "true" }, this.canvas);
    this.foot = el("div", { class: "grid__foot" });
    this.box = el("div", { class: "grid" }, this.scroller, this.foot);
    this.replaceChildren(this.box);
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.scroller.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    this.scroller.addEventListener("keydown", (event) => this.key(event));
    this.scroller.addEventListener("pointerdown", (event) => this.pressed(event));
    this.scroller.addEventListener("dblclick", (event) => event.target instanceof Element && event.target.closest(".grid__cell") && this.showValue());
    this.scroller.addEventListener("copy", (event) => this.copyEvent(event));
    this.scroller.addEventListener("focus", () => this.mark());
    this.scroller.addEventListener("blur", () => this.mark());
    new ResizeObserver(() => this.paintSoon()).observe(this.scroller);
  }

  /** Shows a result in place of what is shown. @param {Result} result */
  setResult({ columns, rows, complete = true, total, truncated = false, name = "result", fetchRows, sorted = null, filters = new Map(), refines = false, downloads }) {
    const typing = this.filterRow.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.column : undefined;
    this.store?.close();
    this.columns = columns;
    this.rows = rows.slice(0, ROWS_MAX);
    this.total = Math.max(total ?? 0, this.rows.length);
    this.store = fetchRows ? new RowStore(this.total, fetchRows, { arrived: () => this.arrived(), failed: (error) => this.rowsFailed(error) }) : null;
    this.store?.seed(rows);
    this.complete = complete || Boolean(this.store);
    this.truncated = truncated || (!this.store && rows.length > ROWS_MAX);
    this.fileName = name;
    this.downloads = downloads ?? null;
    this.refines = refines;
    this.order = null;
    this.sorted = sorted;
    this.filters = new Map(filters);
    this.filtering = this.filters.size > 0 || (this.filtering && typing !== undefined);
    this.active = { row: 0, column: 0 };
    this.anchor = { row: 0, column: 0 };
    this.widths = columns.map((column, index) => fittingWidth(column, this.rows, index));
    this.virtualTop = 0;
    this.scroller.scrollTo(0, 0);
    if (!this.store && (this.sorted || this.filters.size)) this.reorder();
    this.paintHead();
    this.paintFilters();
    this.repaint();
    if (typing !== undefined) /** @type {HTMLElement | null} */ (this.filterRow.querySelector(`[data-column="${typing}"]`))?.focus();
  }

  /** Rows that can be gone to. */
  get count() {
    return this.order ? this.order.length : this.store ? this.total : this.rows.length;
  }

  get headPx() {
    return HEAD_PX + (this.filtering ? FILTER_PX : 0);
  }

  arrived() {
    for (const [position, row] of this.shown) {
      if (!row.hasAttribute("data-waiting") || !this.rowAt(position)) continue;
      row.remove();
      this.shown.delete(position);
    }
    this.paintSoon();
  }

  /** @param {Error} error */
  rowsFailed(error) {
    if (this.failure === error.message) return;
    this.failure = error.message;
    toast(error.message, "danger");
    this.dispatchEvent(new CustomEvent("insjo-grid-failed", { bubbles: true, detail: { message: error.message } }));
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
    this.failure = "";
    const height = this.count * ROW_PX;
    this.body.style.blockSize = `${Math.min(height, HEIGHT_MAX_PX)}px`;
    this.scroller.style.blockSize = `${this.headPx + Math.max(height, ROW_PX) + 14}px`;
    this.scroller.hidden = !this.columns.length;
    this.scroller.setAttribute("aria-rowcount", String(this.complete ? this.count + 1 : this.total > this.rows.length ? this.total + 1 : -1));
    this.scroller.setAttribute("aria-colcount", String(this.columns.length + 1));
    this.paint();
    this.paintFoot();
  }

  /** Pixels of rows for one pixel of the scroll bar; 1 as long as the browser can make the canvas high enough. */
  get pace() {
    const height = this.count * ROW_PX;
    const seen = this.scroller.clientHeight - this.headPx;
    return height > HEIGHT_MAX_PX ? (height - seen) / (HEIGHT_MAX_PX - seen) : 1;
  }

  scrolled() {
    const { scrollTop } = this.scroller;
    if (this.pace === 1) this.virtualTop = scrollTop;
    else if (scrollTop !== this.expectedTop) this.virtualTop = scrollTop * this.pace;
    this.paintSoon();
  }

  /** Where the scroll bar is too coarse, the wheel moves by rows. @param {WheelEvent} event */
  wheeled(event) {
    if (this.pace === 1 || !event.deltaY || event.ctrlKey) return;
    event.preventDefault();
    this.scrollRowsTo(this.virtualTop + event.deltaY * (event.deltaMode === 1 ? ROW_PX : 1));
  }

  /** @param {number} top in pixels of rows */
  scrollRowsTo(top) {
    const most = Math.max(0, this.count * ROW_PX - (this.scroller.clientHeight - this.headPx));
    this.virtualTop = Math.max(0, Math.min(top, most));
    this.scroller.scrollTop = this.virtualTop / this.pace;
    this.expectedTop = this.scroller.scrollTop;
    this.paintSoon();
  }

  setWidths() {
    const characters = formatNumber(Math.max(this.total, this.rows.length, 1)).length;
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
    if (!this.complete || (this.store && !this.refines)) {
      toast(t("grid_sort_incomplete"));
      return;
    }
    const before = this.sorted?.column === column ? this.sorted.direction : null;
    const direction = before === null ? "ascending" : before === "ascending" ? "descending" : null;
    this.sorted = direction ? { column, direction } : null;
    this.refine();
    this.scroller.focus({ preventScroll: true });
  }

  /** Shows the rows in the wanted order, and only those that pass: at once when all are here, else the page asks the engine. */
  refine() {
    if (this.refines) {
      this.paintHead();
      this.dispatchEvent(new CustomEvent("insjo-grid-refine", { bubbles: true, detail: { sorted: this.sorted, filters: new Map(this.filters) } }));
      return;
    }
    this.reorder();
    this.active = { row: 0, column: this.active.column };
    this.anchor = { ...this.active };
    this.scrollRowsTo(0);
    this.paintHead();
    this.repaint();
  }

  reorder() {
    const wanted = [...this.filters].flatMap(([column, text]) => {
      const filter = readFilter(text);
      return filter ? [{ column, filter }] : [];
    });
    const kept = (row) => wanted.every(({ column, filter }) => passes(filter, this.rows[row][column], this.columns[column].type));
    const all = this.sorted ? sortedOrder(this.rows, this.sorted.column, this.columns[this.sorted.column].type, this.sorted.direction) : this.rows.map((_, index) => index);
    this.order = this.sorted || wanted.length ? all.filter(kept) : null;
  }

  /** Shows or hides the fields above the columns. */
  toggleFilters() {
    this.filtering = !this.filtering;
    const had = this.filters.size > 0;
    if (!this.filtering) this.filters.clear();
    this.paintFilters();
    this.repaint();
    if (had && !this.filtering) this.refine();
    if (this.filtering) this.filterRow.querySelector("input")?.focus();
  }

  paintFilters() {
    this.filterRow.hidden = !this.filtering;
    if (!this.filtering) {
      this.filterRow.replaceChildren();
      return;
    }
    const fields = this.columns.map((column, index) => {
      const field = filterField(column.name, index, this.filters.get(index) ?? "", { typed: (text, wait) => this.typed(index, text, wait), left: () => this.toggleFilters() });
      return el("div", { role: "gridcell", "aria-colindex": String(index + 2) }, field);
    });
    this.filterRow.replaceChildren(el("div", { class: "grid__index", role: "gridcell", "aria-colindex": "1" }), ...fields);
  }

  /** @param {number} column @param {string} text @param {number} [wait] */
  typed(column, text, wait = this.refines ? FILTER_WAIT_MS : 120) {
    if ((this.filters.get(column) ?? "") === text && wait) return;
    if (text.trim()) this.filters.set(column, text);
    else this.filters.delete(column);
    window.clearTimeout(this.typing);
    this.typing = window.setTimeout(() => this.refine(), wait);
  }

  /** Values of the row that is shown at a position; null while they are on their way. @param {number} position */
  rowAt(position) {
    if (this.store) return this.store.row(position);
    return this.rows[this.order ? this.order[position] : position] ?? null;
  }

  paintSoon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  paint() {
    const seen = Math.max(0, this.scroller.clientHeight - this.headPx);
    if (this.pace === 1) this.virtualTop = this.scroller.scrollTop;
    const first = Math.max(0, Math.floor(this.virtualTop / ROW_PX) - OVERSCAN);
    const last = Math.min(this.count, Math.ceil((this.virtualTop + seen) / ROW_PX) + OVERSCAN);
    const shift = this.pace === 1 ? 0 : this.scroller.scrollTop - this.virtualTop;
    for (const [position, row] of this.shown) {
      if (position >= first && position < last && shift === this.shift) continue;
      row.remove();
      this.shown.delete(position);
    }
    this.shift = shift;
    const fresh = document.createDocumentFragment();
    for (let position = first; position < last; position += 1) {
      if (!this.shown.has(position)) fresh.append(this.row(position));
    }
    this.body.append(fresh);
    this.store?.want(first, last);
    const nearEnd = last > this.rows.length - NEAR_END_ROWS;
    if (nearEnd && this.virtualTop > 0 && !this.complete && this.failedAt !== this.rows.length) this.more();
  }

  /** @param {number} position */
  row(position) {
    const values = this.rowAt(position);
    const made = el("div", { class: "grid__row", role: "row", "aria-rowindex": String(position + 2), "data-waiting": !values });
    made.style.transform = `translateY(${position * ROW_PX + (this.shift ?? 0)}px)`;
    made.append(el("div", { class: "grid__index", role: "rowheader", "aria-colindex": "1", text: formatNumber(position + 1) }));
    for (let column = 0; column < this.columns.length; column += 1) made.append(values ? this.cell(values[column], position, column) : this.waitingCell(position, column));
    this.shown.set(position, made);
    this.markRow(position, made, this.selection());
    return made;
  }

  /** @param {number} position @param {number} column */
  waitingCell(position, column) {
    const attributes = { class: "grid__cell grid__cell--waiting", role: "gridcell", id: `${this.uid}-${position}-${column}`, "aria-colindex": String(column + 2), "data-row": position, "data-column": column };
    return el("div", attributes, el("span"));
  }

  /** @param {unknown} value @param {number} position @param {number} column */
  cell(value, position, column) {
    const empty = value === null || value === undefined;
    const kind = `${isNumber(this.columns[column].type) ? " grid__cell--number" : ""}${empty ? " grid__cell--null" : ""}`;
    const attributes = { class: `grid__cell${kind}`, role: "gridcell", id: `${this.uid}-${position}-${column}`, "aria-colindex": String(column + 2), "data-row": position, "data-column": column };
    return el("div", { ...attributes, text: empty ? t("grid_null") : textOf(value).slice(0, VALUE_SHOWN_MAX).replace(/[\r\n]+/g, " ⏎ ") });
  }

  paintFoot() {
    const all = this.store ? this.total : this.rows.length;
    const loaded = this.order && this.order.length !== all ? t("grid_filtered", { count: formatNumber(this.order.length), total: formatNumber(all) }) : tn("grid_rows", all);
    const count = this.complete ? loaded : t("grid_loaded", { loaded: formatNumber(this.rows.length), total: formatNumber(this.total) });
    const more = el("button", { class: "button button--ghost button--small", type: "button", text: this.loading ? t("loading") : t("grid_more"), on: { click: () => this.more() } });
    /** @type {HTMLButtonElement} */ (more).disabled = this.loading;
    this.picked = el("span", { "aria-live": "polite" });
    this.foot.replaceChildren(el("span", { text: this.columns.length && !all && !this.filters.size ? t("grid_empty") : count }), el("span", { class: "row" }, this.picked, this.complete ? null : more, ...this.tools(all)));
    if (this.truncated) this.foot.firstElementChild?.append(" · ", t("grid_truncated"));
  }

  /** @param {number} all rows of the result */
  tools(all) {
    if (!all && !this.filters.size && !this.downloads) return [];
    const filter = iconButton("funnel", t("grid_filter_toggle"), () => this.toggleFilters());
    filter.setAttribute("aria-pressed", String(this.filtering));
    const mayFilter = this.complete && (!this.store || this.refines);
    const copies = this.store ? [] : [iconButton("copy", t("grid_copy_all"), () => this.copyAll())];
    return [...(mayFilter ? [filter] : []), ...copies, this.downloads ? downloadMenu(this.downloads) : iconButton("download", t("grid_download"), () => this.download())];
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
    if (this.count) this.scroller.setAttribute("aria-activedescendant", `${this.uid}-${this.active.row}-${this.active.column}`);
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
    this.active = { row: Math.max(0, Math.min(row, this.count - 1)), column: Math.max(0, Math.min(column, this.columns.length - 1)) };
    if (!extend) this.anchor = { ...this.active };
    this.reveal();
    this.paint();
    this.mark();
  }

  reveal() {
    const top = this.active.row * ROW_PX;
    const height = this.scroller.clientHeight - this.headPx;
    if (top < this.virtualTop) this.scrollRowsTo(top);
    else if (top + ROW_PX > this.virtualTop + height) this.scrollRowsTo(top + ROW_PX - height);
    const index = /** @type {HTMLElement | null} */ (this.head.firstElementChild)?.offsetWidth ?? 0;
    const left = this.widths.slice(0, this.active.column).reduce((sum, width) => sum + width, 0);
    const right = left + this.widths[this.active.column] + index;
    if (left < this.scroller.scrollLeft) this.scroller.scrollLeft = left;
    else if (right > this.scroller.scrollLeft + this.scroller.clientWidth) this.scroller.scrollLeft = right - this.scroller.clientWidth;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.target !== this.scroller || !this.count) return;
    const { row, column } = this.active;
    const page = Math.max(1, Math.floor((this.scroller.clientHeight - this.headPx) / ROW_PX) - 1);
    const lastRow = this.count - 1;
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
    this.active = { row: this.count - 1, column: this.columns.length - 1 };
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

  /** Texts of a rectangle. @param {{top: number, bottom: number, left: number, right: number}} area */
  async lines(area) {
    if (!this.store) return this.linesHere(area) ?? [];
    const rows = await this.store.range(area.top, area.bottom + 1);
    return rows.map((row) => row.slice(area.left, area.right + 1).map(textOf));
  }

  /** The same without a request, or null when not all of the rows are here. @param {{top: number, bottom: number, left: number, right: number}} area */
  linesHere({ top, bottom, left, right }) {
    const lines = [];
    for (let position = top; position <= bottom; position += 1) {
      const row = this.rowAt(position);
      if (!row) return null;
      lines.push(row.slice(left, right + 1).map(textOf));
    }
    return lines;
  }

  /** @param {ClipboardEvent} event */
  copyEvent(event) {
    if (event.target instanceof HTMLInputElement || !this.count) return;
    event.preventDefault();
    const area = this.selection();
    const cells = (area.bottom - area.top + 1) * (area.right - area.left + 1);
    if (cells > COPY_CELLS_MAX || area.bottom - area.top >= COPY_ROWS_MAX) {
      toast(t("grid_copy_too_many", { count: formatNumber(COPY_ROWS_MAX) }), "warn");
      return;
    }
    const here = this.linesHere(area);
    if (!here) {
      this.copyArea(area, cells);
      return;
    }
    event.clipboardData?.setData("text/plain", toTabbed(here));
    toast(tn("grid_copied", cells), "ok");
  }

  /** @param {{top: number, bottom: number, left: number, right: number}} area @param {number} cells */
  async copyArea(area, cells) {
    try {
      await navigator.clipboard.writeText(toTabbed(await this.lines(area)));
      toast(tn("grid_copied", cells), "ok");
    } catch {
      toast(t("copy_failed"), "warn");
    }
  }

  async all() {
    const names = this.columns.map((column) => column.name);
    return [names, ...(await this.lines({ top: 0, bottom: this.count - 1, left: 0, right: this.columns.length - 1 }))];
  }

  async copyAll() {
    try {
      await navigator.clipboard.writeText(toTabbed(await this.all()));
      toast(t("copied"), "ok");
    } catch {
      toast(t("copy_failed"), "warn");
    }
  }

  async download() {
    const address = URL.createObjectURL(new Blob([toCsv(await this.all())], { type: "text/csv;charset=utf-8" }));
    const link = /** @type {HTMLAnchorElement} */ (el("a", { href: address, download: `${this.fileName}.csv` }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  showValue() {
    const value = this.rowAt(this.active.row)?.[this.active.column];
    const column = this.columns[this.active.column];
    if (!column || !this.rowAt(this.active.row)) return;
    const dialog = showWhole(column.name, value);
    dialog.addEventListener("close", () => this.scroller.focus({ preventScroll: true }));
  }
}

customElements.define("insjo-grid", InsjoGrid);
