// <insjo-sql-page>: tabs and the editor above, what became of the statement below.
import "./grid.js";
import "./sql-chart.js";
import "./sql-editor.js";
import { setContext } from "./context.js";
import { el, icon, labelBadge, t, worded } from "./core.js";
import { formatSql } from "./sql-format.js";
import { openHistory } from "./sql-history.js";
import { openSaved, saveQuery } from "./sql-saved.js";
import { drawParameters, parametersFor } from "./sql-parameters.js";
import { begin, canRefine, downloads, elapsed, execute, fetchRows, refined } from "./sql-result.js";
import { tokensOf } from "./sql-text.js";
import { drawTabs, keepTabs, newTab, restoreTabs, TABS_MAX } from "./sql-tabs.js";
import { toast } from "./toasts.js";

const TICK_MS = 200;
const LINE_IN_MESSAGE = /\bline:? (\d+)(?:[,;:]? *(?:col(?:umn)?|pos(?:ition)?):? (\d+))?/i;
const VIEWS = ["table", "chart"];

/** @typedef {import("./sql-tabs.js").SqlTab} SqlTab */
/** @typedef {import("./sql-result.js").Outcome} Outcome */

/**
 * Where the first name that an error quotes stands in the statement; for errors that tell no place.
 * @param {string} message @param {string} statement
 */
function placeOf(message, statement) {
  const tokens = tokensOf(statement);
  for (const [, quoted] of message.matchAll(/`([^`]+)`/g)) {
    const wanted = quoted.split(".").at(-1)?.toLowerCase();
    const found = tokens.find((token) => ["word", "quoted"].includes(token.kind) && token.text.replaceAll("`", "").toLowerCase() === wanted);
    if (!found) continue;
    const before = statement.slice(0, found.from).split("\n");
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
  }
  return {};
}

class InsjoSqlPage extends HTMLElement {
  /** @type {SqlTab[]} */ tabs = [];
  timer = 0;

  connectedCallback() {
    this.editor = /** @type {import("./sql-editor.js").InsjoSqlEditor} */ (this.querySelector("insjo-sql-editor"));
    this.grid = /** @type {import("./grid.js").InsjoGrid} */ (this.querySelector("insjo-grid"));
    this.chart = /** @type {import("./sql-chart.js").InsjoSqlChart} */ (this.querySelector("insjo-sql-chart"));
    const part = (name) => /** @type {HTMLElement} */ (this.querySelector(`[data-${name}]`));
    const names = ["run", "run-text", "cancel", "status", "label-slot", "error", "progress", "tabs", "parameters", "views", "plan", "explain", "format", "history", "save", "saved"];
    this.parts = Object.fromEntries(names.map((name) => [name, part(name)]));
    this.parts.run.addEventListener("click", () => this.start(this.editor.statementToRun()));
    this.parts.cancel.addEventListener("click", () => this.cancel());
    this.parts.explain.addEventListener("click", () => this.start(this.editor.statementToRun(), true));
    this.parts.format.addEventListener("click", () => this.format());
    this.parts.history.addEventListener("click", () => openHistory(this.dataset.historyUrl ?? "", (text) => this.openText(text)));
    this.parts.save.addEventListener("click", () => saveQuery(this.active, () => this.paintTabs()));
    this.parts.saved.addEventListener("click", () => openSaved((text, given) => this.openText(text, given)));
    this.parts.views.addEventListener("click", (event) => this.chooseView(/** @type {Element} */ (event.target).closest("[data-view]")?.getAttribute("data-view")));
    this.addEventListener("insjo-run", (event) => this.start(/** @type {CustomEvent} */ (event).detail));
    this.addEventListener("insjo-change", (event) => this.changed(/** @type {CustomEvent} */ (event).detail));
    this.addEventListener("insjo-grid-refine", (event) => this.refine(/** @type {CustomEvent} */ (event).detail));
    this.addEventListener("insjo-grid-failed", (event) => this.rowsFailed(/** @type {CustomEvent} */ (event).detail.message));
    this.addEventListener("click", (event) => this.insert(/** @type {Element} */ (event.target)));
    this.addEventListener("keydown", (event) => this.key(event));
    this.restore();
  }

  disconnectedCallback() {
    for (const tab of this.tabs) tab.running?.run.abandon();
    window.clearInterval(this.timer);
  }

  /** The tabs of before, and one more for a statement that another page hands over. */
  restore() {
    const given = this.editor.value;
    const { tabs, active } = restoreTabs();
    const handed = this.hasAttribute("data-handed") && given.trim();
    const known = handed ? tabs.find((tab) => tab.text.trim() === given.trim()) : tabs[active];
    this.tabs = tabs;
    const { savedId, savedName } = this.dataset;
    if (!known) this.tabs.push(newTab({ text: given, ...(savedId && savedName ? { title: savedName, saved: { id: savedId, name: savedName } } : {}) }));
    if (handed) history.replaceState(null, "", location.pathname);
    this.active = known ?? /** @type {SqlTab} */ (this.tabs.at(-1));
    this.showTab(this.active);
    this.editor.focus();
  }

  /** @param {SqlTab} tab */
  showTab(tab) {
    if (this.active !== tab && this.tabs.includes(this.active)) this.active.state = this.editor.state;
    this.active = tab;
    tab.unseen = false;
    this.editor.open(tab.state ?? tab.text);
    this.changed({ selected: false, changed: true });
    this.showOutcome();
    this.paintRun();
    this.paintTabs();
  }

  paintTabs() {
    const act = { choose: (tab) => this.showTab(tab), close: (tab) => this.closeTab(tab), add: () => this.openText(""), rename: (tab, title) => this.rename(tab, title) };
    drawTabs(this.parts.tabs, this.tabs, this.active, act);
    keepTabs(this.tabs, this.active);
  }

  /** @param {SqlTab} tab @param {string} title */
  rename(tab, title) {
    tab.title = title;
    this.paintTabs();
  }

  /** @param {string} text @param {Partial<SqlTab>} [given] */
  openText(text, given = {}) {
    if (this.tabs.length >= TABS_MAX) {
      toast(t("sql_tabs_max", { count: TABS_MAX }), "warn");
      return;
    }
    const tab = newTab({ text, ...given });
    this.tabs.push(tab);
    this.showTab(tab);
    this.editor.focus();
  }

  /** @param {SqlTab} tab */
  closeTab(tab) {
    const at = this.tabs.indexOf(tab);
    tab.running?.run.cancel().catch(() => {});
    this.tabs.splice(at, 1);
    this.showTab(tab === this.active ? this.tabs[Math.min(at, this.tabs.length - 1)] : this.active);
  }

  /** @param {{selected: boolean, changed: boolean}} change */
  changed({ selected, changed }) {
    this.parts["run-text"].textContent = t(selected ? "sql_run_selection" : "sql_run");
    if (!changed || !this.active) return;
    this.active.text = this.editor.value;
    drawParameters(this.parts.parameters, this.active.text, this.active, () => keepTabs(this.tabs, this.active));
    setContext("statement", this.active.text);
    keepTabs(this.tabs, this.active);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") saveQuery(this.active, () => this.paintTabs());
    else if (event.altKey && event.shiftKey && event.code === "KeyF") this.format();
    else if (event.altKey && event.code === "KeyT") this.openText("");
    else return;
    event.preventDefault();
  }

  /** @param {Element} target */
  insert(target) {
    const source = target.closest("[data-insert-sql]");
    if (source) this.editor.insert(source.getAttribute("data-insert-sql") ?? "");
  }

  /** Lays out the selection, or else the whole text. */
  format() {
    const { statement, from, selected } = this.editor.statementToRun();
    const whole = this.editor.value;
    const [start, text] = selected ? [from, statement] : [0, whole];
    const laid = formatSql(text);
    if (laid !== text) this.editor.replace(start, start + text.length, laid);
    this.editor.focus();
  }

  /** @param {{statement: string, from: number}} chosen @param {boolean} [explain] */
  start({ statement, from }, explain = false) {
    if (this.active.running) return;
    if (!statement.trim()) {
      toast(t("sql_empty"));
      return;
    }
    const value = (name) => /** @type {HTMLInputElement | null} */ (this.querySelector(`[data-${name}]`))?.value || undefined;
    const options = { warehouse_id: value("warehouse"), catalog: value("catalog"), schema: value("schema") };
    this.ask({ statement, parameters: parametersFor(statement, this.active), options, explain }, from);
  }

  /** Runs and shows. With `before` the columns, order and filters of that result stay. @param {any} asked @param {number} from @param {Partial<Outcome>} [kept] */
  async ask(asked, from, kept = {}) {
    const tab = this.active;
    const running = begin(this.dataset.statementsUrl ?? "");
    tab.running = running;
    this.editor.clearErrors();
    setContext("error", null);
    this.paintTabs();
    this.paintRun();
    try {
      const outcome = await execute(running, asked, from, () => this.paintRun());
      if (tab.running === running) tab.outcome = { ...outcome, ...kept };
    } catch (error) {
      if (error.name === "AbortError" || tab.running !== running) return;
      tab.outcome = { kind: "failed", status: t("sql_failed", { seconds: elapsed(running) }), error: { message: error.message, hint: error.hint, error_code: error.code }, from, asked };
    } finally {
      if (tab.running === running) this.ended(tab);
    }
  }

  /** @param {SqlTab} tab */
  ended(tab) {
    tab.running = null;
    tab.unseen = tab !== this.active;
    this.paintTabs();
    this.paintRun();
    if (tab === this.active) this.showOutcome();
  }

  /** @param {{sorted: any, filters: Map<number, string>}} wanted */
  refine({ sorted, filters }) {
    const { outcome, running } = this.active;
    if (!outcome) return;
    running?.run.cancel().catch(() => {});
    running?.run.abandon();
    const first = outcome.first ?? outcome;
    this.ask(refined(first, sorted, filters), outcome.from, { sorted, filters, first, columns: outcome.columns });
  }

  async cancel() {
    try {
      await this.active.running?.run.cancel();
      this.paintRun();
    } catch (error) {
      toast(error.message, "danger");
    }
  }

  /** The buttons and the line below the editor while the active tab's statement runs. */
  paintRun() {
    const { running } = this.active;
    window.clearInterval(this.timer);
    this.parts.progress.hidden = !running;
    this.parts.cancel.hidden = !running;
    for (const name of ["run", "explain"]) /** @type {HTMLButtonElement} */ (this.parts[name]).disabled = Boolean(running);
    if (!running) return;
    this.tick();
    this.timer = window.setInterval(() => this.tick(), TICK_MS);
  }

  tick() {
    const { running } = this.active;
    if (!running) return;
    const waits = running.state === "PENDING";
    const key = running.run.cancelWanted ? "sql_cancelling" : waits ? (running.position ? "sql_queued" : "sql_pending") : "sql_running";
    this.parts.status.textContent = t(key, { seconds: elapsed(running), position: running.position });
  }

  /** What the active tab's last statement gave. */
  showOutcome() {
    const { outcome } = this.active;
    this.parts.error.replaceChildren();
    this.parts["label-slot"].replaceChildren();
    this.parts.status.textContent = outcome?.status ?? t("sql_hint_keys");
    const shown = outcome?.kind === "rows" ? (outcome.view ?? "table") : "";
    this.parts.views.hidden = !VIEWS.includes(shown);
    this.grid.hidden = shown !== "table";
    this.chart.hidden = shown !== "chart";
    this.parts.plan.hidden = shown !== "plan";
    setContext("error", null);
    if (!outcome) return;
    if (outcome.kind === "failed") this.showError(outcome);
    if (outcome.kind === "rows" || outcome.kind === "done") this.showLabel(outcome);
    if (outcome.kind !== "rows") return;
    for (const button of this.parts.views.children) button.setAttribute("aria-pressed", String(button.getAttribute("data-view") === shown));
    if (shown === "plan") this.parts.plan.textContent = (outcome.rows ?? []).map((row) => row[0]).join("\n");
    else if (shown === "chart") this.chart.show(outcome);
    else this.showRows(outcome);
  }

  /** @param {Outcome} outcome */
  showLabel(outcome) {
    const badge = labelBadge(outcome.reply?.insjo?.label, outcome.reply?.insjo?.origins);
    this.parts["label-slot"].replaceChildren(...(badge ? [badge] : []));
  }

  /** @param {Outcome} outcome */
  showRows(outcome) {
    const { columns = [], rows = [], total = 0, whole, reply, sorted, filters } = outcome;
    const first = outcome.first ?? outcome;
    const { signal } = new AbortController();
    const remote = { fetchRows: (offset, count) => fetchRows(reply.statement_id, offset, count, signal), refines: canRefine(first) };
    const label = this.parts["label-slot"].textContent?.trim() || t("level_internal");
    const more = first !== outcome || !whole ? remote : {};
    this.grid.setResult({ columns, rows, total, truncated: Boolean(reply.manifest?.truncated), sorted, filters, downloads: downloads(outcome, this.active.title, label), ...more });
  }

  /** @param {string | null | undefined} view */
  chooseView(view) {
    const { outcome } = this.active;
    if (!view || !outcome || outcome.kind !== "rows") return;
    outcome.view = view;
    this.showOutcome();
  }

  /** @param {Outcome} outcome */
  showError({ error = {}, from, asked }) {
    const message = error.message ?? "";
    const ask = el("button", { class: "button button--secondary button--small", type: "button" }, icon("sparkles"), t("sql_ask"));
    ask.addEventListener("click", () => document.dispatchEvent(new CustomEvent("insjo-ask", { detail: { question: t("sql_explain_question") } })));
    const alert = el("div", { class: "alert alert--danger", role: "alert" }, icon("octagon-alert"));
    alert.append(el("p", { class: "alert__title", text: error.error_code && error.error_code !== "BAD_REQUEST" ? error.error_code : t("sql_error_title") }), el("div", { class: "alert__body" }, ...worded(message)));
    if (error.hint) alert.append(el("p", { class: "alert__hint" }, el("strong", { text: `${t("sql_hint")}: ` }), ...worded(error.hint)));
    alert.append(el("p", { class: "alert__hint" }, ask));
    this.parts.error.replaceChildren(alert);
    const found = LINE_IN_MESSAGE.exec(message);
    const line = error.details?.line ?? (found ? Number(found[1]) : undefined);
    const column = error.details?.column ?? (found?.[2] ? Number(found[2]) : undefined);
    const place = line ? { line, column } : placeOf(message, asked?.statement ?? "");
    this.editor.showError({ message: [message, error.hint].filter(Boolean).join("\n"), from, ...place });
    setContext("error", [message, error.hint].filter(Boolean).join(" "));
  }

  /** Rows that come no more, because a right was taken away or the result was removed, are told like a failed statement. @param {string} message */
  rowsFailed(message) {
    const { outcome } = this.active;
    if (outcome) this.showError({ ...outcome, error: { message } });
  }
}

customElements.define("insjo-sql-page", InsjoSqlPage);
