// <insjo-sql-page>: the editor above, what became of the statement below.
import "./grid.js";
import "./sql-editor.js";
import { setContext } from "./context.js";
import { el, formatSeconds, icon, labelBadge, t, tn, worded } from "./core.js";
import { StatementRun } from "./statements.js";
import { toast } from "./toasts.js";

const TICK_MS = 200;
const DRAFT_KEY = "insjo.sql.draft";
const LINE_IN_MESSAGE = /\bline:? (\d+)(?:[,;:]? *(?:col(?:umn)?|pos(?:ition)?):? (\d+))?/i;

class InsjoSqlPage extends HTMLElement {
  /** @type {StatementRun | null} */
  run = null;
  started = 0;
  timer = 0;
  nextChunk = 0;
  chunks = 0;

  connectedCallback() {
    this.editor = /** @type {import("./sql-editor.js").InsjoSqlEditor} */ (this.querySelector("insjo-sql-editor"));
    this.grid = /** @type {import("./grid.js").InsjoGrid} */ (this.querySelector("insjo-grid"));
    const part = (name) => /** @type {HTMLElement} */ (this.querySelector(`[data-${name}]`));
    this.parts = { run: part("run"), runText: part("run-text"), cancel: part("cancel"), status: part("status"), label: part("label-slot"), error: part("error"), progress: part("progress") };
    this.parts.run.addEventListener("click", () => this.start(this.editor.statementToRun()));
    this.parts.cancel.addEventListener("click", () => this.cancel());
    this.addEventListener("insjo-run", (event) => this.start(/** @type {CustomEvent} */ (event).detail));
    this.addEventListener("insjo-change", (event) => this.changed(/** @type {CustomEvent} */ (event).detail));
    this.addEventListener("insjo-grid-more", () => this.more());
    this.addEventListener("click", (event) => this.insert(/** @type {Element} */ (event.target)));
    this.restoreDraft();
  }

  disconnectedCallback() {
    this.run?.abandon();
    window.clearInterval(this.timer);
  }

  restoreDraft() {
    const draft = sessionStorage.getItem(DRAFT_KEY);
    if (draft && !this.editor.value.trim()) this.editor.value = draft;
    setContext("statement", this.editor.value);
    this.editor.focus();
  }

  /** @param {{selected: boolean, changed: boolean}} change */
  changed({ selected, changed }) {
    this.parts.runText.textContent = t(selected ? "sql_run_selection" : "sql_run");
    if (!changed) return;
    setContext("statement", this.editor.value);
    try {
      sessionStorage.setItem(DRAFT_KEY, this.editor.value);
    } catch {
      // A text that is too long for the store is still in the editor.
    }
  }

  /** @param {Element} target */
  insert(target) {
    const source = target.closest("[data-insert-sql]");
    if (!source) return;
    this.editor.insert(source.getAttribute("data-insert-sql") ?? "");
  }

  /** @param {{statement: string, from: number}} chosen */
  async start({ statement, from }) {
    if (this.run) return;
    if (!statement.trim()) {
      toast(t("sql_empty"));
      return;
    }
    const run = new StatementRun(this.dataset.statementsUrl ?? "");
    this.begin(run);
    try {
      const reply = await run.execute(this.body(statement), (state) => this.tell(state));
      this.show(reply, run, statement, from);
    } catch (error) {
      if (error.name !== "AbortError") this.fail(t("sql_failed", { seconds: this.elapsed() }), { message: error.message, hint: error.hint }, from);
    } finally {
      this.end();
    }
  }

  /** @param {string} statement */
  body(statement) {
    const value = (name) => /** @type {HTMLInputElement | null} */ (this.querySelector(`[data-${name}]`))?.value || undefined;
    return { statement, warehouse_id: value("warehouse"), catalog: value("catalog"), schema: value("schema") };
  }

  /** @param {StatementRun} run */
  begin(run) {
    this.run = run;
    this.started = performance.now();
    this.state = "RUNNING";
    this.editor.clearErrors();
    this.parts.error.replaceChildren();
    this.parts.label.replaceChildren();
    this.parts.progress.hidden = false;
    this.parts.cancel.hidden = false;
    /** @type {HTMLButtonElement} */ (this.parts.run).disabled = true;
    setContext("error", null);
    this.timer = window.setInterval(() => this.tick(), TICK_MS);
  }

  end() {
    window.clearInterval(this.timer);
    this.run = null;
    this.parts.progress.hidden = true;
    this.parts.cancel.hidden = true;
    /** @type {HTMLButtonElement} */ (this.parts.run).disabled = false;
  }

  elapsed() {
    return formatSeconds((performance.now() - this.started) / 1000);
  }

  tick() {
    const key = this.run?.cancelWanted ? "sql_cancelling" : this.state === "PENDING" ? "sql_pending" : "sql_running";
    this.parts.status.textContent = t(key, { seconds: this.elapsed() });
  }

  /** @param {any} reply */
  tell(reply) {
    this.state = reply.status?.state;
  }

  async cancel() {
    try {
      await this.run?.cancel();
    } catch (error) {
      toast(error.message, "danger");
    }
  }

  /** @param {any} reply @param {StatementRun} run @param {string} statement @param {number} from */
  show(reply, run, statement, from) {
    const { state } = reply.status;
    const seconds = this.elapsed();
    if (state === "FAILED") {
      const told = reply.status.insjo_error ?? reply.status.error ?? {};
      this.fail(t("sql_failed", { seconds }), told, from);
      return;
    }
    if (state !== "SUCCEEDED") {
      this.parts.status.textContent = t("sql_cancelled", { seconds });
      return;
    }
    const columns = (reply.manifest?.schema?.columns ?? []).map((column) => ({ name: column.name, type: column.type_text }));
    const rows = reply.result?.data_array ?? [];
    const total = reply.manifest?.total_row_count ?? rows.length;
    this.chunks = reply.manifest?.total_chunk_count ?? 1;
    this.nextChunk = 1;
    this.finished = run;
    this.grid.hidden = !columns.length;
    this.grid.setResult({ columns, rows, total, complete: this.chunks <= 1, truncated: Boolean(reply.manifest?.truncated) });
    this.parts.status.textContent = columns.length ? t("sql_done", { rows: tn("grid_rows", total), seconds }) : t("sql_done_no_rows", { seconds });
    const badge = labelBadge(reply.insjo?.label, reply.insjo?.origins);
    this.parts.label.replaceChildren(...(badge ? [badge] : []));
    this.dispatchEvent(new CustomEvent("insjo-sql-done", { bubbles: true, detail: { statement, statement_id: reply.statement_id } }));
  }

  /** @param {string} status @param {{message?: string, hint?: string, error_code?: string, details?: {line?: number, column?: number}}} told @param {number} from */
  fail(status, told, from) {
    const message = told.message ?? "";
    this.parts.status.textContent = status;
    this.grid.hidden = true;
    const ask = el("button", { class: "button button--secondary button--small", type: "button" }, icon("sparkles"), t("sql_ask"));
    ask.addEventListener("click", () => document.dispatchEvent(new CustomEvent("insjo-ask", { detail: { question: t("sql_explain_question") } })));
    const alert = el("div", { class: "alert alert--danger", role: "alert" }, icon("octagon-alert"));
    alert.append(el("p", { class: "alert__title", text: told.error_code && told.error_code !== "BAD_REQUEST" ? told.error_code : t("sql_error_title") }), el("div", { class: "alert__body" }, ...worded(message)));
    if (told.hint) alert.append(el("p", { class: "alert__hint" }, el("strong", { text: `${t("sql_hint")}: ` }), ...worded(told.hint)));
    alert.append(el("p", { class: "alert__hint" }, ask));
    this.parts.error.replaceChildren(alert);
    const found = LINE_IN_MESSAGE.exec(message);
    const line = told.details?.line ?? (found ? Number(found[1]) : undefined);
    const column = told.details?.column ?? (found?.[2] ? Number(found[2]) : undefined);
    this.editor.showError({ message, from, line, column });
    setContext("error", [message, told.hint].filter(Boolean).join(" "));
  }

  async more() {
    if (!this.finished || this.nextChunk >= this.chunks) return;
    try {
      const chunk = await this.finished.chunk(this.nextChunk);
      this.nextChunk += 1;
      this.grid.appendRows(chunk.data_array ?? chunk.result?.data_array ?? [], { complete: this.nextChunk >= this.chunks });
    } catch (error) {
      if (error.name === "AbortError") return;
      this.grid.moreFailed();
      toast(error.message, "danger");
    }
  }
}

customElements.define("insjo-sql-page", InsjoSqlPage);
