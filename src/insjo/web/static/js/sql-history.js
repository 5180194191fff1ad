// The person's statements of before, in a dialog with a search; a click opens one in a tab.
import { el, formatSeconds, icon, requestJson, t, tn } from "./core.js";
import { showDialog } from "./dialogs.js";

const WAIT_MS = 250;

/** @param {string} url @param {(text: string) => void} open */
export function openHistory(url, open) {
  const list = el("ul", { class: "sql-history", "aria-live": "polite" });
  const field = /** @type {HTMLInputElement} */ (el("input", { class: "input", type: "search", "aria-label": t("sql_history_search"), placeholder: t("sql_history_search") }));
  const failed = /** @type {HTMLInputElement} */ (el("input", { type: "checkbox" }));
  const only = el("label", { class: "check" }, failed, el("span", { text: t("sql_history_failed") }));
  const dialog = showDialog(t("sql_history"), [el("div", { class: "sql-history__bar" }, el("div", { class: "search-field" }, icon("search"), field), only), list], [], { wide: true });
  let timer = 0;
  let asked = 0;
  const load = async () => {
    const mine = (asked += 1);
    const address = `${url}?q=${encodeURIComponent(field.value)}${failed.checked ? "&failed=1" : ""}`;
    try {
      const { statements } = await requestJson(address);
      if (mine !== asked) return;
      list.replaceChildren(...(statements.length ? statements.map((one) => entry(one, pick)) : [el("li", { class: "grid__empty", text: t(field.value ? "sql_history_none" : "sql_history_empty") })]));
    } catch (error) {
      if (mine === asked) list.replaceChildren(el("li", { class: "grid__empty", role: "alert", text: error.message }));
    }
  };
  const pick = (text) => {
    dialog.close();
    open(text);
  };
  field.addEventListener("input", () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(load, WAIT_MS);
  });
  failed.addEventListener("change", load);
  list.replaceChildren(el("li", { class: "grid__empty", text: t("loading") }));
  load();
  field.focus();
}

/** @param {{text: string, at: string, state: string, duration_ms: number, rows: number, error: string}} one @param {(text: string) => void} pick */
function entry(one, pick) {
  const good = one.state === "SUCCEEDED";
  const facts = [one.at, `${formatSeconds(one.duration_ms / 1000)} s`, good ? tn("grid_rows", one.rows) : one.error || one.state.toLowerCase()];
  const button = el("button", { class: "sql-history__entry", type: "button", title: t("sql_history_open") }, el("code", { text: one.text }), el("small", {}, icon(good ? "circle-check" : "circle-x", good ? "icon--ok" : "icon--danger"), facts.join(" · ")));
  button.addEventListener("click", () => pick(one.text));
  return el("li", {}, button);
}
