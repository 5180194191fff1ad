// What is typed above a column to see only some rows: read here, and used in the browser or written as a condition in SQL.
import { isNumber, textOf } from "./grid-values.js";

/** @typedef {{kind: "contains" | "null" | "not_null" | "=" | "!=" | "<" | "<=" | ">" | ">=", value: string}} Filter */

/** Reads `word`, `= x`, `!= x`, `< 5`, `>= 5`, `null`, `!null`; nothing typed is no filter. @param {string} text @returns {Filter | null} */
export function readFilter(text) {
  const typed = text.trim();
  if (!typed) return null;
  if (/^null$/i.test(typed)) return { kind: "null", value: "" };
  if (/^!\s*null$/i.test(typed)) return { kind: "not_null", value: "" };
  const found = /^(!=|<>|<=|>=|=|<|>)\s*(.+)$/s.exec(typed);
  if (!found) return { kind: "contains", value: typed };
  const kind = found[1] === "<>" ? "!=" : found[1];
  return { kind: /** @type {Filter["kind"]} */ (kind), value: found[2] };
}

/** Whether a value passes. @param {Filter} filter @param {unknown} value @param {string | undefined} type */
export function passes(filter, value, type) {
  const empty = value === null || value === undefined;
  if (filter.kind === "null") return empty;
  if (filter.kind === "not_null") return !empty;
  if (empty) return false;
  if (filter.kind === "contains") return textOf(value).toLowerCase().includes(filter.value.toLowerCase());
  const numeric = isNumber(type);
  const [left, right] = numeric ? [Number(value), Number(filter.value)] : [textOf(value), filter.value];
  if (numeric && Number.isNaN(right)) return false;
  if (filter.kind === "=") return left === right;
  if (filter.kind === "!=") return left !== right;
  if (filter.kind === "<") return left < right;
  if (filter.kind === "<=") return left <= right;
  return filter.kind === ">" ? left > right : left >= right;
}

/** @param {string} name */
export const quotedName = (name) => `\`${name.replaceAll("`", "``")}\``;

/**
 * The statement around a query that sorts and filters its rows in the engine, with the parameters that the conditions need.
 * @param {string} query
 * @param {{name: string, type?: string}[]} columns
 * @param {{column: number, direction: "ascending" | "descending"} | null} sorted
 * @param {[number, Filter][]} filters column numbers with what they must pass
 */
export function refinedQuery(query, columns, sorted, filters) {
  const parameters = [];
  const conditions = filters.map(([column, filter], index) => {
    const name = quotedName(columns[column].name);
    if (filter.kind === "null") return `${name} IS NULL`;
    if (filter.kind === "not_null") return `${name} IS NOT NULL`;
    const parameter = `insjo_filter_${index}`;
    parameters.push({ name: parameter, value: filter.value, type: "STRING" });
    if (filter.kind === "contains") return `contains(lower(CAST(${name} AS STRING)), lower(:${parameter}))`;
    return `${name} ${filter.kind} try_cast(:${parameter} AS ${columns[column].type ?? "STRING"})`;
  });
  const where = conditions.length ? `\nWHERE ${conditions.join("\n  AND ")}` : "";
  const order = sorted ? `\nORDER BY ${sorted.column + 1} ${sorted.direction === "ascending" ? "ASC" : "DESC"} NULLS LAST` : "";
  return { statement: `SELECT * FROM (\n${query}\n)${where}${order}`, parameters };
}
