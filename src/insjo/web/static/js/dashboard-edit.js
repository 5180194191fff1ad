// The dialog in which a tile is made or changed: a query, what it gives, and how to show it.
import "./sql-chart.js";
import "./sql-editor.js";
import { el, icon, t, worded } from "./core.js";
import { newTile } from "./dashboard-document.js";
import { showDialog } from "./dialogs.js";
import { drawParameters, parametersFor } from "./sql-parameters.js";
import { begin, execute } from "./sql-result.js";

const FORMS = ["chart", "table", "counter", "text"];
const FORM_ICONS = { chart: "chart-column", table: "table-2", counter: "hash", text: "type" };

/**
 * Asks for a tile; nothing when the dialog was left.
 * @param {{tile: any, dataset: any, warehouse?: string, parameters: Record<string, any>}} given
 * @returns {Promise<{tile: any, dataset: any} | null>}
 */
export function editTile({ tile, dataset, warehouse, parameters }) {
  return new Promise((resolve) => {
    let made = null;
    const form = new TileForm({ tile, dataset, warehouse, parameters });
    const save = el("button", { class: "button button--primary", type: "button", text: t("dashboard_keep") });
    const cancel = el("button", { class: "button button--secondary", type: "button", text: t("cancel") });
    const dialog = showDialog(t(tile ? "dashboard_change" : "dashboard_new_tile"), [form.element], [cancel, save], { wide: true });
    dialog.classList.add("dialog--tile");
    cancel.addEventListener("click", () => dialog.close());
    save.addEventListener("click", async () => {
      made = await form.made();
      if (made) dialog.close();
    });
    dialog.addEventListener("close", () => resolve(made));
    form.title.focus();
    if (dataset && tile?.kind !== "text") form.run();
  });
}

class TileForm {
  constructor({ tile, dataset, warehouse, parameters }) {
    Object.assign(this, { tile, dataset, warehouse });
    this.form = tile ? ({ table: "table", counter: "counter", text: "text" }[tile.kind] ?? "chart") : "chart";
    this.state = { id: -1, title: "", text: "", parameters };
    this.title = /** @type {HTMLInputElement} */ (el("input", { class: "input", type: "text", maxlength: "120", autocomplete: "off" }));
    this.title.value = tile?.title ?? "";
    const area = el("textarea", { class: "input input--code", rows: "6" });
    area.textContent = dataset?.text ?? "";
    this.editor = /** @type {import("./sql-editor.js").InsjoSqlEditor} */ (el("insjo-sql-editor", { "data-label": t("dashboard_query"), "data-completions-url": "/ui/sql/completions" }, area));
    this.words = /** @type {HTMLTextAreaElement} */ (el("textarea", { class: "input", rows: "5", "aria-label": t("dashboard_words") }));
    this.words.value = tile?.words ?? "";
    this.fields = el("div", { class: "sql-parameters", hidden: true });
    this.told = el("div", { "aria-live": "polite" });
    this.chart = /** @type {import("./sql-chart.js").InsjoSqlChart} */ (el("insjo-sql-chart", { class: "sql-chart", hidden: true }));
    this.runButton = el("button", { class: "button button--secondary button--small", type: "button", on: { click: () => this.run() } }, icon("play"), t("sql_run"));
    this.query = el("div", { class: "stack" }, this.editor, this.fields, el("div", {}, this.runButton), this.told, this.chart);
    const forms = FORMS.map((name) => el("label", { class: "sql-chart__kind", title: t(`dashboard_form_${name}`) }, el("input", { class: "visually-hidden", type: "radio", name: "form", value: name, checked: name === this.form, on: { change: () => this.choose(name) } }), icon(FORM_ICONS[name]), el("span", { class: "visually-hidden", text: t(`dashboard_form_${name}`) })));
    const titled = el("label", { class: "field" }, el("span", { class: "field__label", text: t("dashboard_title") }), this.title);
    this.element = el("div", { class: "stack" }, titled, el("div", { class: "sql-chart__kinds", role: "radiogroup", "aria-label": t("dashboard_form") }, ...forms), this.query, this.words);
    this.editor.addEventListener("insjo-run", (event) => {
      event.stopPropagation();
      this.run();
    });
    this.editor.addEventListener("insjo-change", () => drawParameters(this.fields, this.text, this.state, () => {}));
    this.choose(this.form);
    drawParameters(this.fields, dataset?.text ?? "", this.state, () => {});
  }

  get text() {
    return this.editor.view ? this.editor.value : (this.dataset?.text ?? "");
  }

  /** @param {string} form */
  choose(form) {
    this.form = form;
    this.words.hidden = form !== "text";
    this.query.hidden = form === "text";
    this.chart.hidden = form !== "chart" || !this.outcome;
  }

  fail(message, hint) {
    this.outcome = null;
    this.chart.hidden = true;
    this.told.replaceChildren(el("div", { class: "alert alert--danger", role: "alert" }, icon("octagon-alert"), el("div", { class: "alert__body" }, ...worded(message)), hint ? el("p", { class: "alert__hint" }, ...worded(hint)) : null));
    return null;
  }

  async run() {
    const query = this.text.trim().replace(/;\s*$/, "");
    if (!query) return this.fail(t("sql_empty"));
    const statement = `SELECT * FROM (\n${query}\n)`;
    this.told.replaceChildren(el("p", { class: "muted small", text: t("loading") }));
    try {
      const options = this.warehouse ? { warehouse_id: this.warehouse } : {};
      const outcome = await execute(begin("/api/2.0/sql/statements"), { statement, parameters: parametersFor(statement, this.state), options }, 0, () => {});
      if (outcome.kind !== "rows") return this.fail(outcome.error?.message ?? outcome.status, outcome.error?.hint);
      const same = this.outcome?.columns?.map((column) => column.name).join() === outcome.columns?.map((column) => column.name).join();
      if (same) outcome.chart = this.outcome.chart;
      this.outcome = outcome;
    } catch (error) {
      return this.fail(error.message, error.hint);
    }
    this.told.replaceChildren(el("p", { class: "muted small", text: this.outcome.status }));
    this.chart.hidden = this.form !== "chart";
    this.chart.show(this.outcome);
    return this.outcome;
  }

  /** The tile, or nothing when its query does not run. */
  async made() {
    const name = this.tile?.name || crypto.randomUUID().slice(0, 8);
    const size = this.tile ? { width: this.tile.width, height: this.tile.height } : {};
    const title = this.title.value.trim();
    if (this.form === "text") return { tile: { name, title: "", kind: "text", words: this.words.value, dataset: "", fields: [], y: [], x: "", series: "", width: 6, height: 1, raw: null, ...size }, dataset: null };
    const text = this.text.trim();
    const outcome = this.outcome?.asked.statement === `SELECT * FROM (\n${text.replace(/;\s*$/, "")}\n)` ? this.outcome : await this.run();
    if (!outcome) return null;
    const choice = outcome.chart;
    const counter = { ...choice, sum: outcome.total === 1 ? "none" : choice.sum === "none" ? "sum" : choice.sum, y: choice.y.length ? choice.y : [outcome.columns.length - 1] };
    const kind = this.form === "chart" ? choice.kind : this.form;
    const dataset = { name: this.dataset?.name ?? crypto.randomUUID().slice(0, 8), title: title || t("dashboard_query"), text, parameters: [], raw: this.dataset?.raw ?? null };
    return { tile: { ...newTile(name, dataset.name, title, kind, outcome.columns, kind === "counter" ? counter : choice), ...size }, dataset };
  }
}
