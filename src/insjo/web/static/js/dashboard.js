// <insjo-dashboard>: tiles, each a query that runs with the rights of whoever looks; filters, refreshing, editing.
import "./chart.js";
import "./grid.js";
import { saveChart } from "./chart-export.js";
import { figuresFrom } from "./chart-figures.js";
import { el, icon, iconButton, labelBadge, lang, request, t, worded } from "./core.js";
import { editTile } from "./dashboard-edit.js";
import { choiceOf, filterDefault, filtersOf, placed, read, statementOf, write } from "./dashboard-document.js";
import { drawParameters, parametersFor } from "./sql-parameters.js";
import { begin, execute, fetchRows } from "./sql-result.js";
import { toast } from "./toasts.js";

const FILTER_WAIT_MS = 600;
const AT_ONCE_MAX = 3;
const WIDTHS = [2, 3, 4, 6];

/** @typedef {import("./dashboard-document.js").Tile} Tile */

class InsjoDashboard extends HTMLElement {
  editing = false;
  /** @type {Map<string, import("./sql-result.js").Running>} what runs, by tile */ running = new Map();

  connectedCallback() {
    this.document = JSON.parse(this.querySelector("script[type='application/json']")?.textContent || "{}");
    Object.assign(this, read(this.document));
    this.etag = this.dataset.etag ?? "";
    this.board = /** @type {HTMLElement} */ (this.querySelector("[data-tiles]"));
    this.state = { id: 0, title: "", text: "", parameters: filtersOf(this.datasets) };
    const on = (name, act) => this.querySelector(`[data-${name}]`)?.addEventListener("click", act);
    on("refresh", () => this.refresh());
    on("full-screen", () => this.fullScreen());
    on("print", () => window.print());
    on("edit", () => this.setEditing(!this.editing));
    on("add", () => this.edit(null));
    this.querySelector("[data-every]")?.addEventListener("change", (event) => this.every(Number(/** @type {HTMLSelectElement} */ (event.target).value)));
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.overdue && this.refresh());
    this.draw();
    if (this.dataset.editing !== undefined) this.setEditing(true);
    this.refresh();
  }

  disconnectedCallback() {
    window.clearInterval(this.timer);
    for (const each of this.running.values()) each.run.abandon();
  }

  /** @param {boolean} editing */
  setEditing(editing) {
    this.editing = editing;
    this.toggleAttribute("data-editing-now", editing);
    history.replaceState(null, "", editing ? "?edit=1" : location.pathname);
    const add = /** @type {HTMLElement | null} */ (this.querySelector("[data-add]"));
    if (add) add.hidden = !editing;
    const edit = this.querySelector("[data-edit]");
    edit?.replaceChildren(icon(editing ? "check" : "pencil"), t(editing ? "dashboard_done" : "dashboard_edit"));
    this.draw();
    this.show();
  }

  /** @param {number} seconds */
  every(seconds) {
    window.clearInterval(this.timer);
    if (!seconds) return;
    this.timer = window.setInterval(() => {
      if (document.visibilityState === "visible") this.refresh();
      else this.overdue = true;
    }, seconds * 1000);
  }

  async fullScreen() {
    try {
      if (document.fullscreenElement) await document.exitFullscreen();
      else await this.requestFullscreen();
    } catch {
      toast(t("dashboard_no_full_screen"), "warn");
    }
  }

  /** The frames of the tiles and the fields of the filters. */
  draw() {
    const filters = /** @type {HTMLElement} */ (this.querySelector("[data-filters]"));
    const texts = this.datasets.filter((one) => this.tiles.some((tile) => tile.dataset === one.name)).map((one) => one.text);
    drawParameters(filters, texts.join("\n;\n"), this.state, () => this.filtered());
    const places = placed(this.tiles);
    this.board.replaceChildren(...this.tiles.map((tile, index) => this.frame(tile, places[index])));
    if (!this.tiles.length) this.board.replaceChildren(el("div", { class: "empty" }, icon("layout-dashboard", "icon--xl"), el("p", { class: "empty__title", text: t("dashboard_empty") }), el("p", { text: t(this.dataset.mayEdit === undefined ? "dashboard_empty_reader" : "dashboard_empty_text") })));
  }

  filtered() {
    window.clearTimeout(this.waiting);
    this.waiting = window.setTimeout(() => this.refresh(), FILTER_WAIT_MS);
  }

  /** @param {Tile} tile @param {{x: number, y: number}} place */
  frame(tile, place) {
    const body = el("div", { class: "tile-card__body" });
    const tools = el("span", { class: "row tile-card__tools" });
    const title = tile.title ? el("h2", { text: tile.title }) : null;
    const made = el("section", { class: `card tile-card tile-card--${tile.kind}`, "aria-label": tile.title || t(`dashboard_kind_${tile.kind}`), "data-tile": tile.name }, el("div", { class: "tile-card__head" }, title, el("span", { "data-tile-label": "" }), tools), body);
    made.style.gridColumn = `${place.x + 1} / span ${tile.width}`;
    made.style.setProperty("--tile-rows", String(tile.height));
    if (tile.kind === "text") body.append(...(tile.words ?? "").split(/\n{2,}/).map((part) => el("p", {}, ...worded(part.replace(/^#+\s*/, "")))));
    if (this.editing) tools.append(...this.editTools(tile));
    else if (!["text", "table", "counter"].includes(tile.kind)) tools.append(iconButton("download", t("dashboard_png"), () => this.save(tile)));
    return made;
  }

  /** @param {Tile} tile */
  editTools(tile) {
    const at = this.tiles.indexOf(tile);
    const move = (by) => {
      this.tiles.splice(at, 1);
      this.tiles.splice(at + by, 0, tile);
      this.keep(tile);
    };
    const size = (change) => {
      change();
      this.keep(tile);
    };
    const wider = () => (tile.width = WIDTHS[(WIDTHS.findIndex((width) => width >= tile.width) + 1) % WIDTHS.length] ?? 3);
    const buttons = [
      at > 0 ? iconButton("arrow-left", t("dashboard_earlier"), () => move(-1)) : null,
      at < this.tiles.length - 1 ? iconButton("arrow-right", t("dashboard_later"), () => move(1)) : null,
      iconButton("between-horizontal-start", t("dashboard_width"), () => size(wider)),
      iconButton("chevrons-up-down", t("dashboard_height"), () => size(() => (tile.height = tile.height >= 8 ? 3 : tile.height + 1))),
      iconButton("pencil", t("dashboard_change"), () => this.edit(tile)),
      iconButton("trash-2", t("dashboard_remove"), () => {
        this.tiles.splice(at, 1);
        this.keep(null);
      }),
    ];
    return buttons.filter(Boolean);
  }

  /** Draws anew after a change and stores it. @param {Tile | null} tile which keeps the focus */
  async keep(tile) {
    const label = document.activeElement?.getAttribute("aria-label");
    this.draw();
    this.show();
    if (tile && label) /** @type {HTMLElement | null} */ (this.board.querySelector(`[data-tile="${CSS.escape(tile.name)}"] [aria-label="${CSS.escape(label)}"]`))?.focus();
    for (const dataset of this.datasets) dataset.parameters = Object.entries(filtersOf([dataset])).map(([name, filter]) => filterDefault(name, this.state.parameters[name] ?? filter));
    this.document = write(this.document, this.datasets, this.tiles);
    this.saving = (this.saving ?? Promise.resolve()).then(() => this.store());
    await this.saving;
  }

  async store() {
    try {
      const reply = await request(this.dataset.saveUrl ?? "", { method: "PUT", json: { document: this.document, etag: this.etag } });
      this.etag = (await reply.json()).etag;
    } catch (error) {
      toast([error.message, error.hint].filter(Boolean).join(" "), "danger");
    }
  }

  /** @param {Tile | null} tile */
  async edit(tile) {
    const dataset = tile ? this.datasets.find((one) => one.name === tile.dataset) : undefined;
    const made = await editTile({ tile, dataset, warehouse: this.dataset.warehouse, parameters: this.state.parameters });
    if (!made) return;
    if (made.dataset) {
      const others = this.tiles.some((one) => one !== tile && one.dataset === made.dataset?.name);
      if (others && dataset && dataset.text !== made.dataset.text) {
        made.dataset.name = crypto.randomUUID().slice(0, 8);
        made.tile.dataset = made.dataset.name;
      }
      this.datasets = [...this.datasets.filter((one) => one.name !== made.dataset?.name), made.dataset];
    }
    if (tile) this.tiles.splice(this.tiles.indexOf(tile), 1, made.tile);
    else this.tiles.push(made.tile);
    await this.keep(made.tile);
    this.load(made.tile);
  }

  /** Runs all tiles, a few at a time. */
  async refresh() {
    this.overdue = false;
    const turn = (this.turn = {});
    const waiting = this.tiles.filter((tile) => tile.kind !== "text");
    const work = async () => {
      for (let tile = waiting.shift(); tile && turn === this.turn; tile = waiting.shift()) await this.load(tile);
    };
    await Promise.all(Array.from({ length: AT_ONCE_MAX }, work));
    const note = this.querySelector("[data-refreshed]");
    if (note && turn === this.turn) note.textContent = t("dashboard_refreshed", { time: new Date().toLocaleTimeString(lang, { hour: "2-digit", minute: "2-digit" }) });
  }

  /** @param {Tile} tile */
  async load(tile) {
    if (tile.kind === "text") return;
    this.running.get(tile.name)?.run.abandon();
    const running = begin("/api/2.0/sql/statements");
    this.running.set(tile.name, running);
    const statement = statementOf(tile, this.datasets);
    const options = this.dataset.warehouse ? { warehouse_id: this.dataset.warehouse } : {};
    this.card(tile)?.setAttribute("aria-busy", "true");
    let outcome;
    try {
      outcome = await execute(running, { statement, parameters: parametersFor(statement, this.state), options }, 0, () => {});
    } catch (error) {
      if (error.name === "AbortError") return;
      outcome = { kind: "failed", error: { message: error.message, hint: error.hint } };
    }
    if (this.running.get(tile.name) !== running) return;
    this.running.delete(tile.name);
    tile.outcome = outcome;
    this.showTile(tile);
  }

  show() {
    for (const tile of this.tiles) if (tile.outcome || tile.kind !== "text") this.showTile(tile);
  }

  /** @param {Tile} tile */
  card(tile) {
    return /** @type {HTMLElement | null} */ (this.board.querySelector(`[data-tile="${CSS.escape(tile.name)}"]`));
  }

  /** @param {Tile} tile */
  showTile(tile) {
    const card = this.card(tile);
    const body = card?.querySelector(".tile-card__body");
    if (!card || !body || tile.kind === "text") return;
    const { outcome } = tile;
    card.setAttribute("aria-busy", String(!outcome || this.running.has(tile.name)));
    if (!outcome) {
      body.replaceChildren(el("div", { class: "skeleton tile-card__skeleton" }));
      return;
    }
    const badge = labelBadge(outcome.reply?.insjo?.label, outcome.reply?.insjo?.origins);
    card.querySelector("[data-tile-label]")?.replaceChildren(...(badge ? [badge] : []));
    if (outcome.kind !== "rows") {
      const { message = outcome.status ?? "", hint } = outcome.error ?? {};
      body.replaceChildren(el("div", { class: "alert alert--danger" }, icon("octagon-alert"), el("div", { class: "alert__body" }, ...worded(message)), hint ? el("p", { class: "alert__hint" }, ...worded(hint)) : null));
      return;
    }
    this.showRows(tile, body);
  }

  /** @param {any} tile @param {Element} body */
  showRows(tile, body) {
    const { columns, rows, total, whole, reply } = tile.outcome;
    if (tile.kind === "counter") {
      const choice = choiceOf(tile, columns);
      const value = rows[0]?.[choice.y[0]];
      const shown = value === null || value === undefined ? "–" : Number.isNaN(Number(value)) ? String(value) : new Intl.NumberFormat(lang, { maximumFractionDigits: 2 }).format(Number(value));
      body.replaceChildren(el("p", { class: "tile-card__figure", text: shown }));
    } else if (tile.kind === "table") {
      const grid = /** @type {import("./grid.js").InsjoGrid} */ (el("insjo-grid", { "data-label": tile.title }));
      body.replaceChildren(grid);
      const more = whole ? {} : { fetchRows: (offset, count) => fetchRows(reply.statement_id, offset, count) };
      grid.setResult({ columns, rows, total, name: tile.title || "tile", ...more });
    } else {
      const chart = /** @type {import("./chart.js").InsjoChart} */ (el("insjo-chart", { "data-label": tile.title }));
      const found = figuresFrom(columns, rows, choiceOf(tile, columns));
      body.replaceChildren(chart, ...(whole && found.figures.series.length >= found.seriesAll ? [] : [el("p", { class: "sql-chart__note", text: t("chart_note_labels", { count: rows.length, total }) })]));
      chart.setFigures(found.figures);
    }
  }

  /** @param {Tile} tile */
  async save(tile) {
    const drawing = /** @type {SVGElement | null} */ (this.card(tile)?.querySelector("svg.chart") ?? null);
    const words = [...(this.card(tile)?.querySelectorAll(".label__level, .label__word") ?? [])].map((part) => part.textContent).join(" · ");
    try {
      if (drawing) await saveChart(drawing, { title: tile.title || this.dataset.title || "", label: words }, "png");
    } catch {
      toast(t("chart_save_failed"), "danger");
    }
  }
}

customElements.define("insjo-dashboard", InsjoDashboard);

