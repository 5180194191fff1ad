// <insjo-sql-editor>: CodeMirror over a textarea. The textarea keeps the value, so a surrounding form submits it.
import * as cm from "../vendor/codemirror.js";
import { nonce, requestJson, t } from "./core.js";
import { statementAt } from "./sql-text.js";

const SUGGESTIONS_MAX = 2000;
const PHRASES = ["Find", "Replace", "next", "previous", "all", "match case", "regexp", "by word", "replace", "replace all", "close", "current match", "on line", "replaced $ matches", "Completions"];

// The words that Databricks SQL adds to the standard ones, as far as an editor colours them.
const KEYWORDS =
  "analyze anti asc async_refresh bernoulli buckets cache catalog catalogs cluster clustered clustering clone comment copy cube current_catalog current_schema " +
  "database databases dbproperties deep delta desc describe detail directory distribute drop except exclude extended external files format formatted function functions " +
  "grant grants grouping history if ilike inpath insert intersect json language lateral limit list location masked materialized merge minus mask offset optimize options " +
  "overwrite owner partition partitioned partitions pivot policy principals properties qualify quantile range read recover refresh regexp rename repair restore retain " +
  "revoke rlike rollup row rows schema schemas select semi sets shallow share show sort streaming system table tables tablesample tag tags tblproperties temporary timestamp_ntz " +
  "to truncate unpivot unset update use using vacuum values version view views volume volumes window with zorder " +
  "and any array as between by case cast create cross cube delete distinct else end escape exists explain false fetch filter first following for from full group having in " +
  "inner into is join last left like natural not null nulls of on or order outer over preceding replace right set some then true unbounded union unique unknown user when where";
const TYPES = "bigint binary boolean byte char date decimal double float int integer interval long map numeric real short smallint string struct timestamp tinyint varchar variant void";
const DIALECT = cm.SQLDialect.define({ keywords: KEYWORDS, types: TYPES, identifierQuotes: "`", doubleQuotedStrings: true, backslashEscapes: true, operatorChars: "*+-%<>!=&|~^/?:" });

const HIGHLIGHT = cm.HighlightStyle.define([
  { tag: cm.tags.keyword, color: "var(--syntax-keyword)", fontWeight: "600" },
  { tag: [cm.tags.string, cm.tags.special(cm.tags.string)], color: "var(--syntax-string)" },
  { tag: [cm.tags.number, cm.tags.bool, cm.tags.null], color: "var(--syntax-number)" },
  { tag: cm.tags.comment, color: "var(--syntax-comment)", fontStyle: "italic" },
  { tag: [cm.tags.typeName, cm.tags.standard(cm.tags.name)], color: "var(--syntax-type)" },
]);

const THEME = cm.EditorView.theme({
  "&": { backgroundColor: "var(--surface)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "var(--radius-m)", fontSize: ".8438rem" },
  "&.cm-focused": { outline: "none", borderColor: "var(--focus)", boxShadow: "0 0 0 3px color-mix(in srgb, var(--focus) 20%, transparent)" },
  ".cm-scroller": { fontFamily: "var(--font-mono)", lineHeight: "1.6", minHeight: "var(--editor-min, 9rem)", maxHeight: "var(--editor-max, 46vh)", overflow: "auto", scrollbarWidth: "thin" },
  ".cm-content": { padding: ".6rem 0", caretColor: "var(--accent)" },
  ".cm-line": { padding: "0 .8rem" },
  ".cm-cursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--ink-faint)", border: "0", paddingLeft: ".2rem" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--surface-hover) 55%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground, ::selection": { backgroundColor: "var(--selection)" },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--accent-soft)", outline: "1px solid var(--accent)" },
  ".cm-selectionMatch": { backgroundColor: "var(--accent-soft)" },
  ".cm-placeholder": { color: "var(--ink-faint)" },
  ".cm-tooltip": { backgroundColor: "var(--surface-raised)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "var(--radius-m)", boxShadow: "var(--shadow-2)", overflow: "hidden" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--font-mono)", fontSize: ".8125rem", maxHeight: "16rem" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: ".2rem .6rem", lineHeight: "1.5" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent-soft)", color: "var(--on-accent-soft)" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
  ".cm-completionDetail": { color: "var(--ink-faint)", fontStyle: "normal" },
  ".cm-panels": { backgroundColor: "var(--surface-sunken)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--surface-raised)", border: "1px solid var(--line-strong)", borderRadius: "var(--radius-s)" },
  ".cm-textfield": { backgroundColor: "var(--surface-raised)", border: "1px solid var(--line-strong)", borderRadius: "var(--radius-s)" },
  ".cm-panel.cm-search": { padding: ".5rem 2rem .5rem .6rem", fontFamily: "var(--font)" },
  ".cm-panel.cm-search :is(input, button, label)": { fontSize: ".8125rem", margin: ".15em .4em .15em 0" },
  ".cm-panel.cm-search [name=close]": { top: ".4rem", right: ".4rem", fontSize: "1.1rem" },
  ".cm-diagnostic": { padding: ".4rem .7rem", fontFamily: "var(--font)", fontSize: ".8125rem" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--danger)" },
  ".cm-searchMatch": { backgroundColor: "var(--warn-soft)" },
});

/**
 * @typedef {{name: string, kind: "table" | "view", access: "read" | "write" | "browse", comment?: string, columns: [string, string][]}} KnownTable
 * @typedef {{tables?: KnownTable[], functions?: string[], default_schema?: string}} Known
 */

/** What stands beside a table's name: what it is, and what the person may do with it. @param {KnownTable} table */
const tableDetail = ({ kind, access }) => `${t(kind === "view" ? "editor_view" : "editor_table")} · ${t(`editor_access_${access}`)}`;

/** Tables as the language's completion wants them: a name with dots is a path. @param {Known} known */
function toNamespace({ tables = [], default_schema: defaultSchema }) {
  const names = {};
  for (const table of tables) {
    const children = table.columns.map(([label, detail]) => ({ label, detail, type: "property" }));
    const last = table.name.split(".").at(-1) ?? "";
    const self = { label: last, type: "class", detail: tableDetail(table), info: table.comment || undefined };
    names[table.name] = { self, children };
    if (defaultSchema && table.name.startsWith(`${defaultSchema}.`)) names[last] = { self, children };
  }
  return names;
}

/** Suggests whole names of tables wherever the beginning of their last part is written. @param {KnownTable[]} tables */
function completeTables(tables) {
  const options = tables.slice(0, SUGGESTIONS_MAX).map((table) => ({ label: table.name.split(".").at(-1), displayLabel: table.name, apply: table.name, type: "class", detail: tableDetail(table), info: table.comment || undefined, boost: table.access === "browse" ? -5 : 10 }));
  return (context) => {
    const word = context.matchBefore(/\w+/);
    if (!word || context.matchBefore(/\.\w*/)) return null;
    return options.length ? { from: word.from, options, validFor: /^\w*$/ } : null;
  };
}

/** Suggests the columns, with their types, of the tables that the statement at the cursor names. @param {KnownTable[]} tables */
function completeColumns(tables) {
  const byLastName = new Map(tables.map((table) => [table.name.split(".").at(-1)?.toLowerCase(), table]));
  return (context) => {
    const word = context.matchBefore(/\w+/);
    if ((!word && !context.explicit) || context.matchBefore(/\.\w*/)) return null;
    const { statement } = statementAt(context.state.doc.toString(), context.pos);
    const named = new Set(statement.toLowerCase().match(/\w+/g) ?? []);
    const columns = [...byLastName].flatMap(([last, table]) => (named.has(last ?? "") ? table.columns.map(([label, type]) => ({ label, type: "property", detail: `${type} · ${last}`, boost: 20 })) : []));
    return columns.length ? { from: word?.from ?? context.pos, options: columns.slice(0, SUGGESTIONS_MAX), validFor: /^\w*$/ } : null;
  };
}

/**
 * Replaces a selection, or the placeholder, by typed text without letting the browser edit the page.
 *
 * Chromium would carry the look of what was selected over as style attributes, which the Content-Security-Policy refuses
 * and reports. Composed text (input methods) stays with the browser.
 * @param {InputEvent} event
 * @param {import("../vendor/codemirror.js").EditorView} view
 */
function typeOverSelection(event, view) {
  const { main } = view.state.selection;
  if (event.inputType !== "insertText" || event.isComposing || event.data === null || (main.empty && view.state.doc.length)) return false;
  const insert = () => view.state.update({ ...view.state.replaceSelection(event.data ?? ""), userEvent: "input.type" });
  const taken = view.state.facet(cm.EditorView.inputHandler).some((handler) => handler(view, main.from, main.to, event.data ?? "", insert));
  if (!taken) view.dispatch(insert());
  event.preventDefault();
  return true;
}

/** @param {string[]} names */
function completeFunctions(names) {
  const options = names.slice(0, SUGGESTIONS_MAX).map((name) => ({ label: name, apply: `${name}(`, type: "function", boost: -10 }));
  return (context) => {
    const word = context.matchBefore(/\w{2,}/);
    return word ? { from: word.from, options, validFor: /^\w*$/ } : null;
  };
}

export class InsjoSqlEditor extends HTMLElement {
  /** @type {import("../vendor/codemirror.js").EditorView | null} */
  view = null;
  language = new cm.Compartment();
  /** @type {unknown} what the compartment holds */ support = cm.sql({ dialect: DIALECT, upperCaseKeywords: true });

  connectedCallback() {
    if (this.view) return;
    this.field = /** @type {HTMLTextAreaElement} */ (this.querySelector("textarea"));
    this.field.hidden = true;
    this.view = new cm.EditorView({ parent: this, doc: this.field.value, extensions: this.extensions() });
    if (this.dataset.completionsUrl) this.loadCompletions(this.dataset.completionsUrl);
  }

  disconnectedCallback() {
    this.view?.destroy();
    this.view = null;
  }

  extensions() {
    const run = () => (this.dispatchEvent(new CustomEvent("insjo-run", { bubbles: true, detail: this.statementToRun() })), true);
    const keys = [...cm.closeBracketsKeymap, ...cm.defaultKeymap, ...cm.searchKeymap, ...cm.historyKeymap, ...cm.completionKeymap, ...cm.lintKeymap, cm.indentWithTab];
    const phrases = t("editor_phrases").split("|");
    return [
      cm.EditorView.cspNonce.of(nonce()),
      cm.EditorState.phrases.of(Object.fromEntries(PHRASES.map((phrase, index) => [phrase, phrases[index] ?? phrase]))),
      cm.Prec.highest(cm.keymap.of([{ key: "Mod-Enter", run }])),
      cm.lineNumbers(),
      cm.highlightActiveLine(),
      cm.highlightActiveLineGutter(),
      cm.highlightSpecialChars(),
      cm.history(),
      cm.drawSelection(),
      cm.dropCursor(),
      cm.indentOnInput(),
      cm.bracketMatching(),
      cm.closeBrackets(),
      cm.autocompletion({ maxRenderedOptions: 80, icons: false }),
      cm.highlightSelectionMatches(),
      cm.search({ top: true }),
      cm.lintGutter(),
      cm.syntaxHighlighting(HIGHLIGHT),
      cm.placeholder(this.dataset.placeholder ?? ""),
      cm.keymap.of(keys),
      cm.Prec.highest(cm.EditorView.domEventHandlers({ beforeinput: typeOverSelection })),
      this.language.of(this.support),
      cm.EditorView.contentAttributes.of({ "aria-label": `${this.dataset.label ?? ""} ${t("editor_lines")}`.trim(), spellcheck: "false" }),
      cm.EditorView.updateListener.of((update) => this.updated(update)),
      THEME,
    ];
  }

  updated(update) {
    if (!update.docChanged && !update.selectionSet) return;
    if (update.docChanged) this.field.value = update.state.doc.toString();
    this.dispatchEvent(new CustomEvent("insjo-change", { bubbles: true, detail: { selected: !update.state.selection.main.empty, changed: update.docChanged } }));
  }

  /** @param {string} url */
  async loadCompletions(url) {
    try {
      const known = await requestJson(url);
      const support = cm.sql({ dialect: DIALECT, upperCaseKeywords: true, schema: toNamespace(known ?? {}) });
      const sources = [completeFunctions(known?.functions ?? []), completeTables(known?.tables ?? []), completeColumns(known?.tables ?? [])];
      this.support = [support, ...sources.map((autocomplete) => DIALECT.language.data.of({ autocomplete }))];
      this.view?.dispatch({ effects: this.language.reconfigure(this.support) });
    } catch {
      // Without suggestions the editor still works; the page's own requests tell what is wrong with the server.
    }
  }

  /** All that makes up the editor now, with what can be undone; `open` brings it back. */
  get state() {
    return this.view?.state;
  }

  /** Shows another text in place of this one, which is not undone by the keys of this one. @param {any} stateOrText */
  open(stateOrText) {
    if (!this.view) return;
    const state = typeof stateOrText === "string" ? cm.EditorState.create({ doc: stateOrText, extensions: this.extensions() }) : stateOrText;
    this.view.setState(state);
    this.view.dispatch({ effects: this.language.reconfigure(this.support) });
    this.field.value = this.value;
  }

  /** Replaces a part of the text, as something that can be undone. @param {number} from @param {number} to @param {string} text */
  replace(from, to, text) {
    this.view?.dispatch({ changes: { from, to, insert: text }, selection: { anchor: from + text.length } });
  }

  /** The whole text. */
  get value() {
    return this.view?.state.doc.toString() ?? "";
  }

  set value(text) {
    this.view?.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text } });
  }

  /** What Ctrl + Enter runs, and where it begins. @returns {{statement: string, from: number, selected: boolean}} */
  statementToRun() {
    if (!this.view) return { statement: "", from: 0, selected: false };
    const { main } = this.view.state.selection;
    const chosen = this.view.state.sliceDoc(main.from, main.to);
    if (chosen.trim()) return { statement: chosen.trim().replace(/;$/, ""), from: main.from + (chosen.length - chosen.trimStart().length), selected: true };
    return { ...statementAt(this.value, main.head), selected: false };
  }

  /** Puts text in place of the selection. @param {string} text */
  insert(text) {
    this.view?.dispatch(this.view.state.replaceSelection(text));
    this.focus();
  }

  focus() {
    this.view?.focus();
  }

  /**
   * Marks an error. Line and column count from 1 within the statement that begins at `from`.
   * @param {{message: string, from?: number, line?: number, column?: number}} error
   */
  showError({ message, from = 0, line, column }) {
    if (!this.view) return;
    const { doc } = this.view.state;
    const first = doc.lineAt(Math.min(from, doc.length));
    if (!line) return;
    const place = doc.line(Math.min(first.number + line - 1, doc.lines));
    const start = line === 1 ? Math.min(from, doc.length) : place.from;
    const at = Math.min(start + Math.max(0, (column ?? 1) - 1), place.to);
    const word = /^[\w.`]+/.exec(doc.sliceString(at, place.to));
    const to = column && word ? at + word[0].length : place.to;
    const mark = { from: Math.min(at, to), to: Math.max(at, to), severity: "error", message };
    this.view.dispatch(cm.setDiagnostics(this.view.state, [mark]));
  }

  clearErrors() {
    if (this.view) this.view.dispatch(cm.setDiagnostics(this.view.state, []));
  }
}

customElements.define("insjo-sql-editor", InsjoSqlEditor);
