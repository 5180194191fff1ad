// Fields for the parameter markers (`:day`) of the statement, shown as soon as one is written.
import { el, t } from "./core.js";
import { parametersOf } from "./sql-text.js";

const TYPES = ["STRING", "INT", "BIGINT", "DOUBLE", "DECIMAL(38,18)", "BOOLEAN", "DATE", "TIMESTAMP"];
const FIELDS_MAX = 40;

/** @param {string} name */
function guessedType(name) {
  if (/(^|_)(day|date)$|^(from|to|since|until)$/i.test(name)) return "DATE";
  if (/(^|_)(id|count|limit|number|year|month|n)$/i.test(name)) return "INT";
  return "STRING";
}

/**
 * Draws the fields that the text needs and leaves them as they are when they are the right ones.
 * @param {HTMLElement} box
 * @param {string} text
 * @param {import("./sql-tabs.js").SqlTab} tab
 * @param {() => void} changed
 */
export function drawParameters(box, text, tab, changed) {
  const names = parametersOf(text).slice(0, FIELDS_MAX);
  const wanted = `${tab.id}:${names.join(",")}`;
  if (box.dataset.names === wanted) return;
  box.dataset.names = wanted;
  box.hidden = !names.length;
  box.replaceChildren(...names.map((name) => parameterField(name, tab, changed)));
}

/** @param {string} name @param {import("./sql-tabs.js").SqlTab} tab @param {() => void} changed */
function parameterField(name, tab, changed) {
  const kept = (tab.parameters[name] ??= { value: "", type: guessedType(name) });
  const field = /** @type {HTMLInputElement} */ (el("input", { class: "input", type: kept.type === "DATE" ? "date" : "text", autocomplete: "off", spellcheck: "false", "aria-label": t("sql_parameter_value", { name }) }));
  field.value = kept.value;
  field.addEventListener("input", () => {
    kept.value = field.value;
    changed();
  });
  const types = TYPES.map((type) => el("option", { value: type, selected: type === kept.type, text: type.toLowerCase() }));
  const type = /** @type {HTMLSelectElement} */ (el("select", { class: "input", "aria-label": t("sql_parameter_type", { name }) }, ...types));
  type.addEventListener("change", () => {
    kept.type = type.value;
    field.type = type.value === "DATE" ? "date" : "text";
    changed();
  });
  return el("div", { class: "sql-parameter" }, el("code", { text: `:${name}` }), type, field);
}

/** The parameters of a statement as the statement API takes them. @param {string} statement @param {import("./sql-tabs.js").SqlTab} tab */
export function parametersFor(statement, tab) {
  return parametersOf(statement).map((name) => {
    const { value, type } = tab.parameters[name] ?? { value: "", type: "STRING" };
    return { name, type, value: value === "" && type !== "STRING" ? null : value };
  });
}
