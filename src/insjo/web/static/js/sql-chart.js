// <insjo-sql-chart>: a chart of a statement's result, with the choices beside it.
import "./chart.js";
import { saveChart } from "./chart-export.js";
import { figuresFrom, fitting, GROUPS_MAX, guess, KINDS, SUMS, summedQuery } from "./chart-figures.js";
import { el, formatNumber, icon, t } from "./core.js";
import { isNumber } from "./grid-values.js";
import { begin, canRefine, execute } from "./sql-result.js";
import { toast } from "./toasts.js";

const SERIES_MAX = 6;
const KIND_ICONS = { bar: "chart-column", line: "chart-line", area: "chart-area", scatter: "target", pie: "chart-pie" };

export class InsjoSqlChart extends HTMLElement {
  connectedCallback() {
    if (this.chart) return;
    this.chart = /** @type {import("./chart.js").InsjoChart} */ (el("insjo-chart", {}));
    this.form = el("form", { class: "sql-chart__choices", on: { submit: (event) => event.preventDefault(), change: () => this.chosen() } });
    this.note = el("p", { class: "sql-chart__note", "aria-live": "polite" });
    this.append(this.form, el("div", { class: "sql-chart__drawing" }, this.chart, this.note));
  }

  /** @param {any} outcome what the page shows; the choice is kept with it */
  show(outcome) {
    this.outcome = outcome;
    outcome.chart = fitting(outcome.chart ?? guess(outcome.columns, outcome.total), outcome.columns);
    this.draw();
    this.compute();
  }

  draw() {
    const { columns, chart } = this.outcome;
    const kinds = KINDS.map((kind) => this.kindButton(kind, chart.kind === kind));
    const options = (wanted, chosen, none) => [...(none ? [el("option", { value: "", text: none, selected: chosen === null })] : []), ...columns.map((column, index) => (wanted(column) ? el("option", { value: index, text: column.name, selected: chosen === index }) : null)).filter(Boolean)];
    const select = (name, label, content) => el("label", { class: "sql-chart__choice" }, el("span", { text: label }), el("select", { class: "input", name }, ...content));
    const y = el("fieldset", { class: "sql-chart__choice" }, el("legend", { text: t("chart_y") }), ...columns.map((column, index) => (isNumber(column.type) ? this.check("y", index, column.name, chart.y.includes(index)) : null)).filter(Boolean));
    const sums = SUMS.map((sum) => el("option", { value: sum, text: t(`chart_sum_${sum}`), selected: chart.sum === sum }));
    const scatter = chart.kind === "scatter";
    const save = (form, text) => el("button", { class: "button button--secondary button--small", type: "button", on: { click: () => this.save(form) } }, icon("download"), text);
    this.form.replaceChildren(
      el("div", { class: "sql-chart__kinds", role: "radiogroup", "aria-label": t("chart_kind") }, ...kinds),
      select("x", t("chart_x"), options(scatter ? (column) => isNumber(column.type) : () => true, chart.x)),
      ...(scatter ? [] : [select("sum", t("chart_sum"), sums)]),
      ...(chart.sum === "count" && !scatter ? [] : [y]),
      ...(chart.kind === "pie" ? [] : [select("series", t("chart_series"), options((column) => !isNumber(column.type), chart.series, t("chart_series_none")))]),
      ...(["bar", "area"].includes(chart.kind) ? [this.check("stacked", "on", t("chart_stacked"), chart.stacked)] : []),
      el("div", { class: "button-row" }, save("png", "PNG"), save("svg", "SVG")),
    );
  }

  /** @param {string} kind @param {boolean} chosen */
  kindButton(kind, chosen) {
    const input = el("input", { class: "visually-hidden", type: "radio", name: "kind", value: kind, checked: chosen });
    return el("label", { class: "sql-chart__kind", title: t(`chart_kind_${kind}`) }, input, icon(KIND_ICONS[kind]), el("span", { class: "visually-hidden", text: t(`chart_kind_${kind}`) }));
  }

  /** @param {string} name @param {string | number} value @param {string} text @param {boolean} checked */
  check(name, value, text, checked) {
    return el("label", { class: "check" }, el("input", { type: "checkbox", name, value, checked }), el("span", { text }));
  }

  chosen() {
    const said = new FormData(/** @type {HTMLFormElement} */ (this.form));
    const { chart } = this.outcome;
    chart.kind = String(said.get("kind") ?? chart.kind);
    chart.x = Number(said.get("x") ?? chart.x);
    if (this.form.querySelector("[name=y]")) chart.y = said.getAll("y").map(Number).slice(0, SERIES_MAX);
    if (said.has("sum")) chart.sum = String(said.get("sum"));
    if (this.form.querySelector("[name=series]")) chart.series = said.get("series") ? Number(said.get("series")) : null;
    chart.stacked = said.has("stacked");
    const focused = document.activeElement instanceof HTMLInputElement || document.activeElement instanceof HTMLSelectElement ? document.activeElement : null;
    this.outcome.chart = fitting(chart, this.outcome.columns);
    this.draw();
    if (focused) /** @type {HTMLElement | null} */ (this.form.querySelector(`[name="${focused.name}"]${focused instanceof HTMLInputElement ? `[value="${focused.value}"]` : ""}`))?.focus();
    this.compute();
  }

  /** Draws from the rows that are here, or from sums that the engine makes of all rows. */
  async compute() {
    const { outcome } = this;
    const { chart, columns, rows, whole, total } = outcome;
    const mine = (this.asked = {});
    try {
      const byEngine = !whole && chart.sum !== "none" && chart.kind !== "scatter" && canRefine(outcome);
      if (byEngine) this.note.textContent = t("loading");
      const found = byEngine ? figuresFrom(columns, await this.sums(outcome), chart, true) : figuresFrom(columns, rows, chart);
      if (mine !== this.asked) return;
      this.chart?.setFigures(found.figures);
      this.note.textContent = this.said(found, byEngine || whole ? null : rows.length, total);
    } catch (error) {
      if (mine === this.asked && error.name !== "AbortError") this.note.textContent = error.message;
    }
  }

  /** @param {any} outcome @returns {Promise<unknown[][]>} */
  async sums({ asked, columns, chart }) {
    const statement = summedQuery(asked.statement, columns, chart);
    const outcome = await execute(begin("/api/2.0/sql/statements"), { ...asked, statement }, 0, () => {});
    if (outcome.kind !== "rows") throw new Error(outcome.error?.message ?? outcome.status);
    return outcome.rows ?? [];
  }

  /** What the chart leaves out. @param {any} found @param {number | null} used @param {number} total */
  said({ figures, labelsAll, seriesAll, shown }, used, total) {
    const said = [];
    if (used !== null) said.push(t("chart_note_rows", { count: formatNumber(used), total: formatNumber(total) }));
    const drawn = shown ?? figures.labels.length;
    if (used === null && labelsAll >= GROUPS_MAX) said.push(t("chart_note_groups", { count: formatNumber(GROUPS_MAX) }));
    if (drawn < labelsAll) said.push(t("chart_note_labels", { count: formatNumber(drawn), total: formatNumber(labelsAll) }));
    if (figures.series.length < seriesAll) said.push(t("chart_note_series", { count: figures.series.length, total: formatNumber(seriesAll) }));
    return said.join(" ");
  }

  /** @param {"png" | "svg"} form */
  async save(form) {
    const drawing = /** @type {SVGElement | null} */ (this.querySelector("svg.chart"));
    if (!drawing) return;
    const label = document.querySelector("[data-label-slot] .label");
    const words = [...(label?.querySelectorAll(".label__level, .label__word") ?? [])].map((part) => part.textContent ?? "").join(" · ");
    try {
      await saveChart(drawing, { title: this.dataset.title ?? t("chart_title"), label: words }, form);
    } catch {
      toast(t("chart_save_failed"), "danger");
    }
  }
}

customElements.define("insjo-sql-chart", InsjoSqlChart);
