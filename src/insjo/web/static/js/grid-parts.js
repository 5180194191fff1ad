// Small pieces of the grid that need nothing of it but what they are given.
import { el, icon, t } from "./core.js";
import { showDialog } from "./dialogs.js";
import { textOf } from "./grid-values.js";

/** @typedef {{label: string, links: {title: string, href: string}[]}} DownloadLinks */

/** The menu of files that the whole result can be had as. @param {DownloadLinks} downloads */
export function downloadMenu({ label, links }) {
  const items = links.map(({ title, href }) => el("a", { class: "menu__item", href, download: "" }, icon("download"), title));
  const summary = el("summary", { class: "button button--ghost button--small" }, icon("download"), t("grid_download_menu"));
  return el("details", { class: "menu menu--up", "data-menu": "" }, summary, el("div", { class: "menu__list" }, ...items, el("p", { class: "menu__note", text: label })));
}

/**
 * The field above a column.
 * @param {string} column
 * @param {number} index
 * @param {string} value
 * @param {{typed: (text: string, wait?: number) => void, left: () => void}} act
 */
export function filterField(column, index, value, { typed, left }) {
  const attributes = { class: "grid__filter", type: "text", title: t("grid_filter_hint"), placeholder: t("grid_filter"), autocomplete: "off", spellcheck: "false" };
  const field = /** @type {HTMLInputElement} */ (el("input", { ...attributes, "aria-label": t("grid_filter_column", { column }), "data-column": index }));
  field.value = value;
  field.addEventListener("input", () => typed(field.value));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") left();
    else if (event.key === "Enter") typed(field.value, 0);
    event.stopPropagation();
  });
  return field;
}

/** A whole value in a dialog; JSON with line breaks. @param {string} column @param {unknown} value */
export function showWhole(column, value) {
  let text = value === null || value === undefined ? t("grid_null") : textOf(value);
  if (/^[[{]/.test(text)) {
    try {
      text = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // Not JSON: it is shown as it is.
    }
  }
  return showDialog(t("grid_value", { column }), [el("pre", { class: "grid__value", tabindex: "0", text })], [], { wide: text.length > 500 });
}
