// From rows to what a chart shows: which column goes where, sums per group, and the same as a query for results that stay on the server.
import { isNumber } from "./grid-values.js";
import { quotedName } from "./grid-filters.js";

export const KINDS = ["bar", "line", "area", "scatter", "pie"];
export const SUMS = ["none", "sum", "avg", "min", "max", "count"];
const SERIES_MAX = 6;
const LABELS_MAX = { bar: 200, line: 5000, area: 5000, scatter: 3000, pie: 12 };
export const GROUPS_MAX = 5000;
const NO_MEASURE = /^(year|month|day|week|hour|minute)$|(^|_)(id|key|number|no)$/i;
const TIMES = /^(DATE|TIMESTAMP)/i;

/** @typedef {{kind: string, x: number, y: number[], series: number | null, sum: string, stacked: boolean}} Choice */
/** @typedef {{name: string, type?: string}} Column */

const isTime = (column) => TIMES.test(column?.type ?? "");

/** A first guess at what somebody wants to see. @param {Column[]} columns @param {number} total @returns {Choice} */
export function guess(columns, total) {
  const numbers = columns.map((column, index) => (isNumber(column.type) ? index : -1)).filter((index) => index >= 0);
  const time = columns.findIndex(isTime);
  const words = columns.findIndex((column) => !isNumber(column.type) && !/[<]/.test(column.type ?? ""));
  const x = time >= 0 ? time : words >= 0 ? words : 0;
  const others = numbers.filter((index) => index !== x);
  const y = [others.find((index) => !NO_MEASURE.test(columns[index].name)) ?? others[0]].filter((index) => index !== undefined);
  const kind = time >= 0 ? "line" : x === words ? "bar" : "line";
  return { kind, x, y, series: null, sum: y.length ? (total > LABELS_MAX.bar ? "avg" : "none") : "count", stacked: false };
}

/** A choice that fits the columns: what names one that is not there is forgotten. @param {Choice} choice @param {Column[]} columns @returns {Choice} */
export function fitting(choice, columns) {
  const there = (index) => Number.isInteger(index) && index >= 0 && index < columns.length;
  const start = guess(columns, 0);
  const chosen = (choice.y ?? []).filter(there);
  const y = chosen.length ? chosen : start.y;
  const kind = KINDS.includes(choice.kind) ? choice.kind : start.kind;
  const x = there(choice.x) ? choice.x : start.x;
  const numbers = columns.map((column, index) => (isNumber(column.type) ? index : -1)).filter((index) => index >= 0);
  return {
    kind,
    x: kind === "scatter" && !isNumber(columns[x]?.type) ? (numbers.find((index) => index !== y[0]) ?? numbers[0] ?? x) : x,
    y,
    series: there(choice.series) ? choice.series : null,
    sum: SUMS.includes(choice.sum) ? choice.sum : start.sum,
    stacked: Boolean(choice.stacked),
  };
}

/** The query that gives one row a group; its columns are the label, the series if there is one, and a value each. @param {string} query @param {Column[]} columns @param {Choice} choice */
export function summedQuery(query, columns, choice) {
  const name = (index) => quotedName(columns[index].name);
  const groups = [choice.x, ...(choice.series === null ? [] : [choice.series])].map(name);
  const values = choice.sum === "count" ? ["count(*)"] : choice.y.map((index) => `${choice.sum}(${name(index)})`);
  const order = groups.map((_, index) => index + 1).join(", ");
  return `SELECT ${[...groups, ...values].join(", ")}\nFROM (\n${query}\n)\nGROUP BY ${order}\nORDER BY ${order}\nLIMIT ${GROUPS_MAX}`;
}

/** @param {unknown} value */
const label = (value) => (value === null || value === undefined ? "–" : String(value).replace(/T00:00:00(\.0+)?Z?$/, "").replace(/(\d)T(\d)/, "$1 $2").replace(/\.000(Z?)$/, "$1"));

/** @param {unknown} value */
const number = (value) => (value === null || value === undefined || value === "" ? null : Number(value));

/** @param {string} sum @param {(number | null)[]} values */
function summed(sum, values) {
  const known = values.filter((value) => value !== null && !Number.isNaN(value));
  if (sum === "count") return values.length;
  if (!known.length) return null;
  if (sum === "min") return known.reduce((a, b) => Math.min(a, b));
  if (sum === "max") return known.reduce((a, b) => Math.max(a, b));
  const whole = known.reduce((a, b) => a + b, 0);
  return sum === "avg" ? whole / known.length : whole;
}

/**
 * What <insjo-chart> draws, and how much of the rows it is.
 * @param {Column[]} columns
 * @param {unknown[][]} rows
 * @param {Choice} choice
 * @param {boolean} [grouped] the rows are those of `summedQuery`
 */
export function figuresFrom(columns, rows, choice, grouped = false) {
  if (choice.kind === "scatter" && !grouped) return scatterFigures(columns, rows, choice);
  const at = grouped ? { x: 0, series: choice.series === null ? null : 1, first: choice.series === null ? 1 : 2 } : { x: choice.x, series: choice.series, first: 0 };
  const sum = grouped ? "max" : choice.sum;
  const names = choice.sum === "count" ? ["count(*)"] : choice.y.map((index) => columns[index].name);
  const places = grouped ? names.map((_, index) => at.first + index) : choice.sum === "count" ? [-1] : choice.y;
  /** @type {Map<string, Map<string, (number | null)[]>>} */
  const bySeries = new Map();
  const labels = new Map();
  rows.forEach((row, order) => {
    const key = sum === "none" && at.series === null ? `${order}` : label(row[at.x]);
    if (!labels.has(key)) labels.set(key, label(row[at.x]));
    places.forEach((place, index) => {
      const title = at.series === null ? names[index] : `${label(row[at.series])}${names.length > 1 ? ` · ${names[index]}` : ""}`;
      const values = bySeries.get(title) ?? new Map();
      bySeries.set(title, values);
      const held = values.get(key) ?? [];
      values.set(key, held);
      held.push(place < 0 ? 1 : number(row[place]));
    });
  });
  const column = columns[choice.x];
  let keys = [...labels.keys()];
  if (sum !== "none" && !grouped && (isTime(column) || isNumber(column?.type))) keys = keys.sort((a, b) => (isNumber(column.type) ? Number(a) - Number(b) : a < b ? -1 : 1));
  const most = LABELS_MAX[choice.kind] ?? 200;
  const all = [...bySeries];
  const series = all.slice(0, SERIES_MAX).map(([name, values]) => ({ name, values: keys.slice(0, most).map((key) => (values.has(key) ? summed(sum === "none" ? "sum" : sum, values.get(key) ?? []) : null)) }));
  return { figures: { kind: choice.kind, labels: keys.slice(0, most).map((key) => labels.get(key)), series, stacked: choice.stacked }, labelsAll: keys.length, seriesAll: all.length };
}

/** @param {Column[]} columns @param {unknown[][]} rows @param {Choice} choice */
function scatterFigures(columns, rows, choice) {
  const groups = new Map();
  for (const row of rows) {
    const x = number(row[choice.x]);
    const y = number(row[choice.y[0]]);
    if (x === null || y === null || Number.isNaN(x) || Number.isNaN(y)) continue;
    const name = choice.series === null ? (columns[choice.y[0]]?.name ?? "") : label(row[choice.series]);
    const points = groups.get(name) ?? [];
    groups.set(name, points);
    points.push([x, y]);
  }
  const all = [...groups];
  const most = LABELS_MAX.scatter;
  const series = all.slice(0, SERIES_MAX).map(([name, points]) => ({ name, points: points.slice(0, Math.floor(most / Math.min(all.length, SERIES_MAX))), values: [] }));
  const titles = [columns[choice.x]?.name ?? "", columns[choice.y[0]]?.name ?? ""];
  return { figures: { kind: "scatter", labels: titles, series, stacked: false }, labelsAll: rows.length, seriesAll: all.length, shown: series.reduce((count, one) => count + one.points.length, 0) };
}
