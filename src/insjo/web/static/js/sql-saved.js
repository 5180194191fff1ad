// Saved queries: keeping the text of a tab under a name, finding it again, and sharing it.
import { el, icon, iconButton, requestJson, t } from "./core.js";
import { confirmDialog, showDialog } from "./dialogs.js";
import { openSchedule } from "./sql-schedule.js";
import { toast } from "./toasts.js";

const URL_OF = "/ui/queries";
const LEVELS = ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"];

/** Tells what went wrong. @param {any} error */
const tell = (error) => toast([error.message, error.hint].filter(Boolean).join(" "), "danger");

/**
 * Keeps the text of a tab: under its own name when it came from a saved query, else under one that is asked for.
 * @param {import("./sql-tabs.js").SqlTab} tab @param {() => void} done
 */
export async function saveQuery(tab, done) {
  if (!tab.text.trim()) {
    toast(t("sql_empty"));
    return;
  }
  if (!tab.saved) {
    askName(tab, done);
    return;
  }
  try {
    await requestJson(`${URL_OF}/${tab.saved.id}`, { method: "PUT", json: { text: tab.text } });
    toast(t("sql_saved", { name: tab.saved.name }), "ok");
  } catch (error) {
    if ([403, 404].includes(error.status)) askName(tab, done);
    else tell(error);
  }
}

/** @param {import("./sql-tabs.js").SqlTab} tab @param {() => void} done */
function askName(tab, done) {
  const field = /** @type {HTMLInputElement} */ (el("input", { class: "input", type: "text", maxlength: "120", autocomplete: "off", required: true }));
  field.value = tab.title;
  const form = el("form", { class: "stack" }, el("label", { class: "field" }, el("span", { class: "field__label", text: t("sql_save_name") }), field), el("button", { class: "button button--primary", type: "submit", text: t("sql_save") }));
  const dialog = showDialog(t("sql_save_title"), [form]);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      tab.saved = await requestJson(URL_OF, { json: { name: field.value, text: tab.text } });
      tab.title = tab.saved?.name ?? tab.title;
      dialog.close();
      toast(t("sql_saved", { name: tab.title }), "ok");
      done();
    } catch (error) {
      tell(error);
    }
  });
  field.select();
}

/** @param {(text: string, given: any) => void} open opens a tab */
export async function openSaved(open) {
  const list = el("ul", { class: "sql-history", "aria-live": "polite" }, el("li", { class: "grid__empty", text: t("loading") }));
  const field = /** @type {HTMLInputElement} */ (el("input", { class: "input", type: "search", "aria-label": t("sql_saved_search"), placeholder: t("sql_saved_search") }));
  const dialog = showDialog(t("sql_saved_title"), [el("div", { class: "search-field" }, icon("search"), field), list], [], { wide: true });
  let all = [];
  const draw = () => {
    const wanted = field.value.trim().toLowerCase();
    const found = all.filter((one) => `${one.name} ${one.text}`.toLowerCase().includes(wanted));
    list.replaceChildren(...(found.length ? found.map((one) => entry(one, pick, load)) : [el("li", { class: "grid__empty", text: t("sql_saved_none") })]));
  };
  const load = async () => {
    try {
      all = (await requestJson(URL_OF)).queries;
      draw();
    } catch (error) {
      list.replaceChildren(el("li", { class: "grid__empty", role: "alert", text: error.message }));
    }
  };
  const pick = (one) => {
    dialog.close();
    open(one.text, { title: one.name, saved: { id: one.id, name: one.name } });
  };
  field.addEventListener("input", draw);
  field.focus();
  await load();
}

/** @param {any} one @param {(one: any) => void} pick @param {() => void} changed */
function entry(one, pick, changed) {
  const button = el("button", { class: "sql-history__entry", type: "button", on: { click: () => pick(one) } }, el("strong", { text: one.name }), el("code", { text: one.text }), el("small", { text: `${one.owner} · ${one.at}` }));
  const remove = async () => {
    if (!(await confirmDialog({ changes: t("sql_saved_remove_changes", { name: one.name }), danger: true, action: t("sql_saved_remove") }))) return;
    await requestJson(`${URL_OF}/${one.id}`, { method: "DELETE" }).catch(tell);
    changed();
  };
  const clock = iconButton("calendar-clock", t("sql_schedule", { name: one.name }), () => openSchedule(one));
  const tools = one.may_manage ? [iconButton("share-2", t("sql_share", { name: one.name }), () => shareDialog(one)), iconButton("trash-2", t("sql_saved_remove"), remove)] : [];
  return el("li", { class: "row row--nowrap" }, button, clock, ...tools);
}

/** @param {any} one */
function shareDialog(one) {
  const who = /** @type {HTMLInputElement} */ (el("input", { class: "input", type: "text", autocomplete: "off", required: true }));
  const level = /** @type {HTMLSelectElement} */ (el("select", { class: "input", "aria-label": t("sql_share_may") }, ...LEVELS.map((name) => el("option", { value: name, text: t(`sql_level_${name}`) }))));
  const titled = (text, field) => el("label", { class: "field" }, el("span", { class: "field__label", text }), field);
  const form = el("form", { class: "stack" }, el("p", { class: "muted small", text: t("sql_share_lead") }), titled(t("sql_share_who"), who), titled(t("sql_share_may"), level), el("button", { class: "button button--primary", type: "submit", text: t("sql_share_do") }));
  const dialog = showDialog(t("sql_share", { name: one.name }), [form]);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await requestJson(`${URL_OF}/${one.id}/share`, { json: { principal: who.value, level: level.value } });
      dialog.close();
      toast(t("sql_shared", { name: who.value }), "ok");
    } catch (error) {
      tell(error);
    }
  });
}
