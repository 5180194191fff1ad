// <insjo-chart>: bars, lines, areas, points and rings as SVG, coloured by the stylesheet, with the same figures as a table for everybody.
import { exact, points, ring, short, svg } from "./chart-shapes.js";
import { el, t } from "./core.js";

const SIZE = { width: 640, height: 230, left: 52, right: 8, top: 12, bottom: 26 };
const WIDTH_MIN = 280;
const WIDTH_STEP = 20;
const SERIES_MAX = 6;
const POINTS_MAX = 5000;
const TABLE_ROWS_MAX = 500;
const LABEL_CHARS_MAX = 19;
const LABEL_PX = 7;

/** @typedef {{name: string, values: (number | null)[], points?: [number, number][]}} Series */
/** @typedef {{kind: "bar" | "line" | "area" | "scatter" | "pie", labels: string[], series: Series[], unit?: string, stacked?: boolean}} Figures */

/** A step of 1, 2 or 5 times a power of ten that cuts `span` into about four parts. @param {number} span */
function niceStep(span) {
  const raw = span / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10);
}

export class InsjoChart extends HTMLElement {
  width = SIZE.width;
  /** @type {Figures | null} */
  figures = null;

  connectedCallback() {
    const given = this.querySelector("script[type='application/json']")?.textContent;
    if (given) this.setFigures(JSON.parse(given));
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this);
  }

  disconnectedCallback() {
    this.observer?.disconnect();
  }

  /** Draws anew when the place has become wider or narrower, so that letters keep their size. */
  fit() {
    const width = Math.max(WIDTH_MIN, Math.round(this.clientWidth / WIDTH_STEP) * WIDTH_STEP);
    if (!this.clientWidth || width === this.width || !this.figures) return;
    this.width = width;
    const before = this.querySelector(".chart");
    if (before) before.replaceWith(this.draw(this.figures));
  }

  /** Draws figures. @param {Figures} figures */
  setFigures(figures) {
    const labels = figures.labels.slice(0, POINTS_MAX);
    const series = figures.series.slice(0, SERIES_MAX);
    if (!labels.length || !series.length) {
      this.replaceChildren(el("p", { class: "grid__empty", text: t("chart_empty") }));
      return;
    }
    const shown = { ...figures, labels, series };
    this.figures = shown;
    this.replaceChildren(this.draw(shown), ...(series.length > 1 && figures.kind !== "pie" ? [this.legend(series)] : []), ...(figures.kind === "scatter" ? [] : [this.table(shown)]));
  }

  /** @param {Figures} figures */
  draw(figures) {
    if (figures.kind === "pie") return ring(figures, this.width, this.dataset.label ?? "");
    if (figures.kind === "scatter") return points(figures, this.width, SIZE, niceStep, this.dataset.label ?? "");
    const { height, left, right, top, bottom } = SIZE;
    const { width } = this;
    const { low, high, step } = this.range(figures);
    const y = (value) => top + ((high - value) / (high - low)) * (height - top - bottom);
    const band = (width - left - right) / figures.labels.length;
    const chart = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": this.dataset.label ?? "" });
    for (let value = low; value <= high + step / 2; value += step) {
      chart.append(svg("line", { class: "chart__line", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
      chart.append(svg("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, short.format(Number(value.toPrecision(12)))));
    }
    this.nameBands(chart, figures.labels, band);
    if (figures.kind === "bar") this.bars(chart, figures, band, y);
    else this.lines(chart, figures, band, y);
    return chart;
  }

  /** @param {Figures} figures */
  range({ labels, series, stacked }) {
    const sums = labels.map((_, index) => series.reduce((sum, one) => sum + (one.values[index] ?? 0), 0));
    const values = stacked ? sums : series.flatMap((one) => one.values.map((value) => value ?? 0).filter(Number.isFinite));
    const step = niceStep(Math.max(0, ...values) - Math.min(0, ...values));
    const high = Math.max(step, Math.ceil(Math.max(0, ...values) / step) * step);
    return { step, high, low: Math.floor(Math.min(0, ...values) / step) * step };
  }

  /** @param {SVGElement} chart @param {string[]} labels @param {number} band */
  nameBands(chart, labels, band) {
    const longest = Math.min(LABEL_CHARS_MAX, Math.max(...labels.map((label) => label.length)));
    const every = Math.max(1, Math.ceil((longest * LABEL_PX + 12) / band));
    labels.forEach((label, index) => {
      if (index % every) return;
      chart.append(svg("text", { x: SIZE.left + (index + 0.5) * band, y: SIZE.height - 8, "text-anchor": "middle" }, label.length > LABEL_CHARS_MAX ? `${label.slice(0, LABEL_CHARS_MAX - 1)}…` : label));
    });
  }

  /** @param {Figures} figures @param {number} index @param {Series} one */
  words({ labels, unit }, index, one) {
    return svg("title", {}, `${one.name ? `${one.name} · ` : ""}${labels[index]}: ${one.values[index] === null || one.values[index] === undefined ? "–" : exact.format(one.values[index])}${unit ? ` ${unit}` : ""}`);
  }

  /** @param {SVGElement} chart @param {Figures} figures @param {number} band @param {(value: number) => number} y */
  bars(chart, figures, band, y) {
    const beside = figures.stacked ? 1 : figures.series.length;
    const bar = Math.min(46, (band * 0.72) / beside);
    figures.labels.forEach((_, index) => {
      let base = 0;
      figures.series.forEach((one, place) => {
        const value = one.values[index] ?? 0;
        const from = figures.stacked ? base : 0;
        const x = SIZE.left + (index + 0.5) * band - (bar * beside) / 2 + (figures.stacked ? 0 : place * bar);
        const [upper, lower] = [y(Math.max(from, from + value)), y(Math.min(from, from + value))];
        const attributes = { class: `chart__fill chart__series-${place + 1}`, x: x + 0.5, y: upper, width: Math.max(1, bar - 1), height: Math.max(0, lower - upper), rx: Math.min(3, bar / 4) };
        chart.append(svg("rect", attributes, this.words(figures, index, one)));
        base += value;
      });
    });
  }

  /** @param {SVGElement} chart @param {Figures} figures @param {number} band @param {(value: number) => number} y */
  lines(chart, figures, band, y) {
    const below = figures.labels.map(() => 0);
    figures.series.forEach((one, place) => {
      const base = [...below];
      const value = (index) => /** @type {number} */ (one.values[index]) + (figures.stacked ? base[index] : 0);
      const at = (index, height) => `${(SIZE.left + (index + 0.5) * band).toFixed(1)} ${y(height).toFixed(1)}`;
      const known = figures.labels.map((_, index) => index).filter((index) => Number.isFinite(one.values[index]));
      const path = known.map((index, order) => `${order && known[order - 1] === index - 1 ? "L" : "M"}${at(index, value(index))}`).join("");
      if (figures.kind === "area" && known.length > 1) {
        const back = [...known].reverse().map((index) => `L${at(index, figures.stacked ? base[index] : 0)}`).join("");
        chart.append(svg("path", { class: `chart__area chart__series-${place + 1}`, d: `M${known.map((index) => at(index, value(index))).join("L")}${back}Z` }));
      }
      chart.append(svg("path", { class: `chart__stroke chart__series-${place + 1}`, d: path }));
      for (const index of known) if (figures.stacked) below[index] = value(index);
      if (known.length > 60) return;
      for (const index of known) {
        const [cx, cy] = at(index, value(index)).split(" ");
        chart.append(svg("circle", { class: `chart__fill chart__series-${place + 1}`, cx, cy, r: 3.5 }, this.words(figures, index, one)));
      }
    });
  }

  /** @param {Series[]} series */
  legend(series) {
    const entries = series.map((one, place) => {
      const mark = svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("rect", { class: `chart__fill chart__series-${place + 1}`, width: 10, height: 10, rx: 2.5 }));
      return el("span", {}, mark, one.name);
    });
    return el("div", { class: "chart__legend" }, ...entries);
  }

  /** @param {Figures} figures */
  table({ labels, series, unit }) {
    const titles = series.map((one) => el("th", { scope: "col", class: "number", text: unit ? `${one.name} (${unit})` : one.name }));
    const rows = labels.slice(0, TABLE_ROWS_MAX).map((label, index) => el("tr", {}, el("th", { scope: "row", text: label }), ...series.map((one) => el("td", { class: "number", text: one.values[index] === null || one.values[index] === undefined ? "–" : exact.format(one.values[index]) }))));
    const head = el("thead", {}, el("tr", {}, el("th", { scope: "col", text: t("chart_label") }), ...titles));
    return el("details", { class: "chart__table" }, el("summary", { text: t("chart_table") }), el("div", { class: "table-wrap" }, el("table", { class: "table" }, head, el("tbody", {}, ...rows))));
  }
}

customElements.define("insjo-chart", InsjoChart);
