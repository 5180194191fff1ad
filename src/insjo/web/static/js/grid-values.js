// How the grid reads, compares and writes values. Values arrive as text or null, as the statement API sends them.
import { lang } from "./core.js";

const NUMBERS = new Set(["TINYINT", "SMALLINT", "INT", "INTEGER", "BIGINT", "LONG", "SHORT", "BYTE", "FLOAT", "REAL", "DOUBLE", "DECIMAL", "NUMERIC", "NUMBER"]);
const words = new Intl.Collator(lang, { numeric: true });

/** The bare name of a type: `DECIMAL(10,2)` is `DECIMAL`. @param {string | undefined} type */
const bare = (type) => (type ?? "").toUpperCase().split(/[(<]/)[0].trim();

/** @param {string | undefined} type */
export const isNumber = (type) => NUMBERS.has(bare(type));

/** The text of a value as it is shown and copied. @param {unknown} value */
export function textOf(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/**
 * Order of row numbers by one column. Nulls come last in both directions; equal values keep their order.
 * @param {unknown[][]} rows
 * @param {number} column
 * @param {string | undefined} type
 * @param {"ascending" | "descending"} direction
 */
export function sortedOrder(rows, column, type, direction) {
  const sign = direction === "ascending" ? 1 : -1;
  const numeric = isNumber(type);
  const keys = rows.map((row) => {
    const value = row[column];
    if (value === null || value === undefined) return null;
    return numeric ? Number(value) : textOf(value);
  });
  const compare = numeric ? (a, b) => a - b : (a, b) => words.compare(a, b);
  return rows.map((_, index) => index).sort((a, b) => {
    const left = keys[a];
    const right = keys[b];
    if (left === null || right === null) return left === right ? a - b : left === null ? 1 : -1;
    return sign * compare(left, right) || a - b;
  });
}

/** A width in pixels that fits most of a column's values. @param {{name: string, type?: string}} column @param {unknown[][]} rows @param {number} index */
export function fittingWidth(column, rows, index) {
  const lengths = rows.slice(0, 120).map((row) => textOf(row[index]).length).sort((a, b) => a - b);
  const common = lengths[Math.floor(lengths.length * 0.94)] ?? 0;
  const title = column.name.length + (column.type ? Math.min(column.type.length, 14) * 0.85 + 2 : 0);
  return Math.round(Math.min(420, Math.max(72, Math.max(common * 7.6 + 24, title * 7.7 + 40))));
}

/** @param {string} text @param {string} separator */
const quoted = (text, separator) => (text.includes(separator) || /["\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** Tab-separated text, as spreadsheets take it from the clipboard. @param {string[][]} lines */
export const toTabbed = (lines) => lines.map((line) => line.map((text) => quoted(text, "\t")).join("\t")).join("\n");

/** Comma-separated text after RFC 4180. @param {string[][]} lines */
export const toCsv = (lines) => `${lines.map((line) => line.map((text) => quoted(text, ",")).join(",")).join("\r\n")}\r\n`;
