// A dashboard's document, in the form that Databricks' clients know (Lakeview): read into tiles, and written from them.
import { quotedName } from "./grid-filters.js";
import { parametersOf } from "./sql-text.js";

export const COLUMNS = 6;
const KINDS = ["bar", "line", "area", "scatter", "pie", "table", "counter"];
const AGGREGATES = /^\s*(sum|avg|mean|count|min|max|median|stddev\w*|var\w*|approx_\w+|percentile\w*|any_value|first|last|mode|count_if|bool_\w+)\s*\(/i;

/**
 * @typedef {{name: string, text: string, title: string, parameters: any[], raw: any}} Dataset
 * @typedef {{name: string, expression: string}} Field
 * @typedef {{name: string, title: string, kind: string, words?: string, dataset: string, fields: Field[], grouped: boolean, x: string, y: string[], series: string,
 *   stacked: boolean, width: number, height: number, raw: any}} Tile
 */

/** Tiles of the first page, in reading order, with the queries they name. @param {any} document @returns {{datasets: Dataset[], tiles: Tile[]}} */
export function read(document) {
  const list = (value) => (Array.isArray(value) ? value : []);
  const datasets = list(document.datasets).map((raw) => ({
    name: String(raw.name ?? ""),
    title: String(raw.displayName ?? raw.name ?? ""),
    text: Array.isArray(raw.queryLines) ? raw.queryLines.join("") : String(raw.query ?? ""),
    parameters: list(raw.parameters),
    raw,
  }));
  const layout = list(list(document.pages)[0]?.layout).filter((entry) => entry?.widget);
  const place = (entry) => (entry.position?.y ?? 0) * 1000 + (entry.position?.x ?? 0);
  return { datasets, tiles: [...layout].sort((a, b) => place(a) - place(b)).map(readTile) };
}

/** @param {any} entry @returns {Tile} */
function readTile(entry) {
  const { widget, position = {} } = entry;
  const spec = widget.spec ?? {};
  const encodings = spec.encodings ?? {};
  const query = widget.queries?.[0]?.query ?? {};
  const words = widget.multilineTextboxSpec?.lines?.join("") ?? widget.textbox_spec;
  const named = (encoding) => (encoding?.fields ? encoding.fields.map((field) => field.fieldName) : encoding?.fieldName ? [encoding.fieldName] : []);
  const kind = words !== undefined ? "text" : KINDS.includes(spec.widgetType) ? spec.widgetType : "table";
  const values = kind === "counter" ? named(encodings.value) : kind === "pie" ? named(encodings.angle) : named(encodings.y);
  return {
    name: String(widget.name ?? ""),
    title: String(spec.frame?.title ?? ""),
    kind,
    words,
    dataset: String(query.datasetName ?? ""),
    fields: (query.fields ?? []).filter((field) => field?.name && field?.expression),
    grouped: query.disaggregated === false,
    x: kind === "pie" ? (named(encodings.color)[0] ?? "") : (named(encodings.x)[0] ?? ""),
    y: values,
    series: kind === "pie" ? "" : (named(encodings.color)[0] ?? ""),
    stacked: spec.mark?.layout !== "group",
    width: Math.max(1, Math.min(COLUMNS, position.width ?? 3)),
    height: Math.max(1, Math.min(14, position.height ?? 4)),
    raw: entry,
  };
}

/** The statement of a tile: its data set as a subquery, so that nothing but a query can run. @param {Tile} tile @param {Dataset[]} datasets */
export function statementOf(tile, datasets) {
  const text = datasets.find((one) => one.name === tile.dataset)?.text ?? "";
  const query = text.trim().replace(/;\s*$/, "");
  if (!tile.fields.length) return `SELECT * FROM (\n${query}\n)`;
  const shown = tile.fields.map((field) => `${field.expression} AS ${quotedName(field.name)}`).join(", ");
  const groups = tile.fields.flatMap((field, index) => (AGGREGATES.test(field.expression) ? [] : [index + 1]));
  const grouping = tile.grouped && groups.length && groups.length < tile.fields.length ? `\nGROUP BY ${groups.join(", ")}\nORDER BY ${groups.join(", ")}` : "";
  return `SELECT ${shown} FROM (\n${query}\n)${grouping}`;
}

/** What a chart shows of the columns that came back. @param {Tile} tile @param {{name: string}[]} columns */
export function choiceOf(tile, columns) {
  const at = (name) => columns.findIndex((column) => column.name === name);
  const y = tile.y.map(at).filter((index) => index >= 0);
  const series = at(tile.series);
  return { kind: tile.kind, x: Math.max(0, at(tile.x)), y: y.length ? y : [columns.length - 1], series: series < 0 ? null : series, sum: "none", stacked: tile.stacked };
}

/**
 * A tile from what was chosen for a chart of a query.
 * @param {string} name @param {string} dataset @param {string} title @param {string} kind @param {{name: string}[]} columns @param {import("./chart-figures.js").Choice} choice
 */
export function newTile(name, dataset, title, kind, columns, choice) {
  const column = (index) => ({ name: columns[index].name, expression: quotedName(columns[index].name) });
  const summed = choice.sum !== "none" && kind !== "table" && kind !== "scatter";
  const value = (index) => (summed ? { name: `${choice.sum}(${columns[index].name})`, expression: `${choice.sum}(${quotedName(columns[index].name)})` } : column(index));
  const values = summed && choice.sum === "count" ? [{ name: "count(*)", expression: "count(*)" }] : choice.y.map(value);
  const x = kind === "counter" ? [] : [column(choice.x)];
  const series = choice.series === null || kind === "counter" ? [] : [column(choice.series)];
  const fields = kind === "table" ? [] : [...x, ...series, ...values];
  return { name, title, kind, dataset, fields, grouped: summed, x: x[0]?.name ?? "", y: values.map((field) => field.name), series: series[0]?.name ?? "", stacked: choice.stacked, width: kind === "counter" ? 2 : 3, height: kind === "counter" ? 2 : 5, raw: null };
}

/** @param {Tile} tile @param {{x: number, y: number}} place */
function writeTile(tile, place) {
  const position = { ...place, width: tile.width, height: tile.height };
  if (tile.raw) return { ...tile.raw, position };
  if (tile.kind === "text") return { widget: { name: tile.name, multilineTextboxSpec: { lines: [tile.words ?? ""] } }, position };
  const field = (fieldName) => ({ fieldName, displayName: fieldName });
  const several = (names) => (names.length > 1 ? { fields: names.map(field) } : field(names[0] ?? ""));
  const encodings = { table: { columns: [] }, counter: { value: field(tile.y[0] ?? "") }, pie: { angle: field(tile.y[0] ?? ""), color: field(tile.x) } }[tile.kind] ?? {
    x: field(tile.x),
    y: several(tile.y),
    ...(tile.series ? { color: field(tile.series) } : {}),
  };
  const query = { datasetName: tile.dataset, fields: tile.fields, disaggregated: !tile.grouped };
  const spec = { version: 3, widgetType: tile.kind, encodings, frame: { showTitle: Boolean(tile.title), title: tile.title }, mark: { layout: tile.stacked ? "stack" : "group" } };
  return { widget: { name: tile.name, queries: [{ name: "main_query", query }], spec }, position };
}

/** Places the tiles from the left to the right, in rows. @param {Tile[]} tiles */
export function placed(tiles) {
  let [x, y, row] = [0, 0, 0];
  return tiles.map((tile) => {
    if (x + tile.width > COLUMNS) [x, y, row] = [0, y + row, 0];
    const place = { x, y };
    x += tile.width;
    row = Math.max(row, tile.height);
    return place;
  });
}

/** The document with these tiles; what this page does not know stays as it was. @param {any} document @param {Dataset[]} datasets @param {Tile[]} tiles */
export function write(document, datasets, tiles) {
  const places = placed(tiles);
  const used = new Set(tiles.map((tile) => tile.dataset));
  const kept = datasets.filter((one) => used.has(one.name) || one.raw);
  const [first = { name: "page", displayName: "1" }, ...others] = Array.isArray(document.pages) ? document.pages : [];
  return {
    ...document,
    datasets: kept.map((one) => ({ ...(one.raw ?? {}), name: one.name, displayName: one.title, queryLines: one.text.split(/(?<=\n)/), parameters: one.parameters })),
    pages: [{ ...first, layout: tiles.map((tile, index) => writeTile(tile, places[index])) }, ...others],
  };
}

/** The filters of a dashboard: its parameters with their first values. @param {Dataset[]} datasets */
export function filtersOf(datasets) {
  const found = {};
  for (const dataset of datasets) {
    for (const name of parametersOf(dataset.text)) {
      const told = dataset.parameters.find((one) => one?.keyword === name);
      const type = { DATE: "DATE", DATETIME: "TIMESTAMP", DECIMAL: "DOUBLE", INTEGER: "INT", NUMBER: "DOUBLE" }[told?.dataType] ?? "STRING";
      if (!(name in found) || told) found[name] = { value: String(told?.defaultSelection?.values?.values?.[0]?.value ?? ""), type: told?.insjo_type ?? type };
    }
  }
  return found;
}

/** A value of a filter as the document keeps it. @param {string} keyword @param {{value: string, type: string}} filter */
export function filterDefault(keyword, { value, type }) {
  const dataType = { DATE: "DATE", TIMESTAMP: "DATETIME", INT: "INTEGER", BIGINT: "INTEGER", DOUBLE: "DECIMAL" }[type] ?? "STRING";
  return { displayName: keyword, keyword, dataType, insjo_type: type, defaultSelection: { values: { dataType, values: [{ value }] } } };
}
