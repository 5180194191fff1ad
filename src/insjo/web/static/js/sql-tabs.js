// The tabs of the SQL page: their texts are kept in the browser's tab, their results as long as the page stands.
import { el, icon, iconButton, t } from "./core.js";

const STORE_KEY = "insjo.sql.tabs";
export const TABS_MAX = 20;

/**
 * @typedef {object} SqlTab
 * @property {number} id
 * @property {string} title
 * @property {string} text
 * @property {Record<string, {value: string, type: string}>} parameters
 * @property {any} [state] the editor's own state
 * @property {import("./sql-result.js").Outcome | null} [outcome] what its last statement gave
 * @property {import("./sql-result.js").Running | null} [running]
 * @property {boolean} [unseen] it ended while another tab was shown
 * @property {{id: string, name: string} | null} [saved] the saved query that it holds
 */

let last = 0;

/** @param {Partial<SqlTab>} given @returns {SqlTab} */
export function newTab(given = {}) {
  last += 1;
  return { id: last, title: t("sql_tab", { number: last }), text: "", parameters: {}, outcome: null, running: null, saved: null, ...given };
}

/** The tabs of before. @returns {{tabs: SqlTab[], active: number}} */
export function restoreTabs() {
  try {
    const { tabs = [], active = 0 } = JSON.parse(sessionStorage.getItem(STORE_KEY) ?? "{}");
    return { tabs: tabs.slice(0, TABS_MAX).map(({ title, text, parameters, saved }) => newTab({ title, text, parameters: parameters ?? {}, saved: saved ?? null })), active };
  } catch {
    return { tabs: [], active: 0 };
  }
}

/** @param {SqlTab[]} tabs @param {SqlTab} active */
export function keepTabs(tabs, active) {
  const kept = tabs.map(({ title, text, parameters, saved }) => ({ title, text, parameters, saved }));
  try {
    sessionStorage.setItem(STORE_KEY, JSON.stringify({ tabs: kept, active: tabs.indexOf(active) }));
  } catch {
    // Texts that are too long for the store are still on the page.
  }
}

/**
 * Draws the row of tabs.
 * @param {HTMLElement} bar
 * @param {SqlTab[]} tabs
 * @param {SqlTab} active
 * @param {{choose: (tab: SqlTab) => void, close: (tab: SqlTab) => void, add: () => void, rename: (tab: SqlTab, title: string) => void}} act
 */
export function drawTabs(bar, tabs, active, act) {
  const focused = bar.contains(document.activeElement) && document.activeElement?.getAttribute("role") === "tab";
  const shown = tabs.map((tab) => {
    const chosen = tab === active;
    const mark = tab.running ? icon("loader-circle", "icon--spin") : tab.unseen ? el("span", { class: "sql-tab__dot" }) : null;
    const button = el("button", { class: "sql-tab__title", type: "button", role: "tab", "aria-selected": String(chosen), "aria-controls": "sql-panel", tabindex: chosen ? "0" : "-1", title: t("sql_tab_hint") }, mark, el("span", { text: tab.title }));
    button.addEventListener("click", () => act.choose(tab));
    button.addEventListener("dblclick", () => renameField(button, tab, act));
    button.addEventListener("keydown", (event) => tabKey(event, tabs, tab, button, act));
    const close = tabs.length > 1 ? iconButton("x", t("sql_tab_close", { title: tab.title }), () => act.close(tab)) : null;
    close?.setAttribute("tabindex", "-1");
    return el("div", { class: `sql-tab${chosen ? " sql-tab--active" : ""}`, role: "presentation" }, button, close);
  });
  const add = iconButton("plus", t("sql_tab_new"), () => act.add());
  bar.replaceChildren(el("div", { class: "sql-tabs__list", role: "tablist", "aria-label": t("sql_tabs") }, ...shown), ...(tabs.length < TABS_MAX ? [add] : []));
  const chosen = /** @type {HTMLElement | null} */ (bar.querySelector("[aria-selected=true]"));
  if (focused) chosen?.focus();
  chosen?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** @param {KeyboardEvent} event @param {SqlTab[]} tabs @param {SqlTab} tab @param {HTMLElement} button @param {any} act */
function tabKey(event, tabs, tab, button, act) {
  const at = tabs.indexOf(tab);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to !== undefined) act.choose(tabs[(to + tabs.length) % tabs.length]);
  else if (event.key === "Delete" && tabs.length > 1) act.close(tab);
  else if (event.key === "F2") renameField(button, tab, act);
  else return;
  event.preventDefault();
}

/** @param {HTMLElement} button @param {SqlTab} tab @param {any} act */
function renameField(button, tab, act) {
  const field = /** @type {HTMLInputElement} */ (el("input", { class: "input sql-tab__field", type: "text", maxlength: "60", "aria-label": t("sql_tab_name") }));
  field.value = tab.title;
  let ended = false;
  const end = (keep) => {
    if (ended) return;
    ended = true;
    act.rename(tab, keep && field.value.trim() ? field.value.trim() : tab.title);
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") end(true);
    else if (event.key === "Escape") end(false);
  });
  field.addEventListener("blur", () => end(true));
  button.replaceWith(field);
  field.select();
}
