// One run of a statement on the SQL page, and what became of it: kept by the tab it belongs to, shown when the tab is.
import { requestJson, t, tn, formatSeconds } from "./core.js";
import { readFilter, refinedQuery } from "./grid-filters.js";
import { StatementRun } from "./statements.js";

const FIRST_ROWS = 1000;
// Results of at most so many rows are fetched whole: then sorting and filtering need no engine.
const WHOLE_ROWS_MAX = 20000;
const ROWS_AT_ONCE = 5000;
const SELECTS = new Set(["SELECT", "WITH", "VALUES", "FROM", "TABLE"]);

/**
 * @typedef {{run: StatementRun, started: number, state: string, position: number}} Running
 * @typedef {object} Outcome
 * @property {"rows" | "done" | "failed" | "cancelled"} kind
 * @property {string} status
 * @property {any} [error]
 * @property {number} from where the statement began in the text
 * @property {Asked} asked
 * @property {any} [reply]
 * @property {{name: string, type: string}[]} [columns]
 * @property {unknown[][]} [rows]
 * @property {number} [total]
 * @property {boolean} [whole] all rows are here
 * @property {{column: number, direction: "ascending" | "descending"} | null} [sorted]
 * @property {Map<number, string>} [filters]
 * @property {string} [view] table, chart or plan
 * @property {any} [chart]
 * @typedef {{statement: string, parameters: {name: string, type: string, value: string | null}[], options: Record<string, unknown>, explain?: boolean}} Asked
 */

/** Address of a part of a result. @param {string} id @param {string} rest */
const resultUrl = (id, rest) => `/api/insjo/v1/statements/${encodeURIComponent(id)}/${rest}`;

/** @param {string} id @param {number} offset @param {number} count @param {AbortSignal} [signal] @returns {Promise<unknown[][]>} */
export const fetchRows = async (id, offset, count, signal) => (await requestJson(resultUrl(id, `rows?offset=${offset}&count=${count}`), { signal })).rows;

/**
 * Runs what was asked and gives what is to be shown. Throws what the request threw.
 * @param {Running} running
 * @param {Asked} asked
 * @param {number} from
 * @param {() => void} tell called when its state has changed
 * @returns {Promise<Outcome>}
 */
export async function execute(running, asked, from, tell) {
  const statement = asked.explain ? `EXPLAIN ${asked.statement}` : asked.statement;
  const body = { ...asked.options, statement, parameters: asked.parameters, disposition: "EXTERNAL_LINKS" };
  const reply = await running.run.execute(body, (told) => {
    running.state = told.status?.state ?? "";
    running.position = told.status?.queue_position ?? 0;
    tell();
  });
  const seconds = elapsed(running);
  const { state } = reply.status;
  if (state === "FAILED") return { kind: "failed", status: t("sql_failed", { seconds }), error: reply.status.insjo_error ?? reply.status.error ?? {}, from, asked };
  if (state !== "SUCCEEDED") return { kind: "cancelled", status: t("sql_cancelled", { seconds }), from, asked };
  return finished(running, reply, asked, from);
}

/** @param {Running} running @param {any} reply @param {Asked} asked @param {number} from @returns {Promise<Outcome>} */
async function finished(running, reply, asked, from) {
  const columns = (reply.manifest?.schema?.columns ?? []).map((column) => ({ name: column.name, type: column.type_text }));
  const total = reply.manifest?.total_row_count ?? 0;
  const seconds = elapsed(running);
  if (!columns.length) return { kind: "done", status: t("sql_done_no_rows", { seconds }), from, asked, reply };
  const whole = total <= WHOLE_ROWS_MAX;
  const wanted = whole ? total : FIRST_ROWS;
  const rows = [];
  while (rows.length < wanted) {
    const more = await fetchRows(reply.statement_id, rows.length, Math.min(ROWS_AT_ONCE, wanted - rows.length), running.run.leaving.signal);
    if (!more.length) break;
    rows.push(...more);
  }
  return { kind: "rows", status: t("sql_done", { rows: tn("grid_rows", total), seconds }), from, asked, reply, columns, rows, total, whole, sorted: null, filters: new Map(), view: asked.explain ? "plan" : "table" };
}

/** @param {Running} running */
export const elapsed = (running) => formatSeconds((performance.now() - running.started) / 1000);

/** A run that has just begun. @param {string} url @returns {Running} */
export const begin = (url) => ({ run: new StatementRun(url), started: performance.now(), state: "RUNNING", position: 0 });

/** Whether the engine can sort and filter it anew: only a query can stand in another one, and no name twice. @param {Outcome} outcome */
export function canRefine({ asked, columns = [], reply }) {
  const names = columns.map((column) => column.name.toLowerCase());
  return !asked.explain && SELECTS.has(reply?.insjo?.kind ?? "SELECT") && new Set(names).size === names.length && !reply?.manifest?.truncated;
}

/** What to ask so that the engine sorts and filters. @param {Outcome} outcome @param {any} sorted @param {Map<number, string>} filters @returns {Asked} */
export function refined({ asked, columns = [] }, sorted, filters) {
  const read = [...filters].flatMap(([column, text]) => {
    const filter = readFilter(text);
    return filter ? [/** @type {[number, import("./grid-filters.js").Filter]} */ ([column, filter])] : [];
  });
  if (!sorted && !read.length) return asked;
  const { statement, parameters } = refinedQuery(asked.statement, columns, sorted, read);
  return { ...asked, statement, parameters: [...asked.parameters, ...parameters] };
}

/** Files that the result can be had as. @param {Outcome} outcome @param {string} name @param {string} label */
export function downloads({ reply, total = 0 }, name, label) {
  const forms = [["csv", "CSV"], ["parquet", "Parquet"], ...(total <= 1048575 ? [["xlsx", "Excel"]] : [])];
  const links = forms.map(([form, title]) => ({ title, href: resultUrl(reply.statement_id, `download?format=${form}&name=${encodeURIComponent(name)}`) }));
  return { links, label: t("grid_download_label", { label }) };
}
