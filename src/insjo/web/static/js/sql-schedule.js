// When a saved query runs by itself: a dialog that sets, pauses and ends it, runs it once, and lists what ran.
import { el, icon, lang, requestJson, t, tn } from "./core.js";
import { showDialog } from "./dialogs.js";
import { toast } from "./toasts.js";

const RULES = { hourly: "0 * * * *", daily: "0 6 * * *", workdays: "0 6 * * 1-5", weekly: "0 6 * * 1", monthly: "0 6 1 * *" };
const when = (text) => new Date(text).toLocaleString(lang, { dateStyle: "medium", timeStyle: "short" });
const tell = (error) => toast([error.message, error.hint].filter(Boolean).join(" "), "danger");
const titled = (text, field) => el("label", { class: "field" }, el("span", { class: "field__label", text }), field);

/** @param {{id: string, name: string}} one */
export async function openSchedule(one) {
  const address = `/api/insjo/v1/queries/${encodeURIComponent(one.id)}/schedule`;
  const choices = [...Object.keys(RULES), "other"].map((name) => el("option", { value: name, text: t(`sql_schedule_${name}`) }));
  const choice = /** @type {HTMLSelectElement} */ (el("select", { class: "input" }, ...choices));
  const rule = /** @type {HTMLInputElement} */ (el("input", { class: "input", type: "text", required: true, maxlength: "100", autocomplete: "off", spellcheck: "false" }));
  const zone = /** @type {HTMLInputElement} */ (el("input", { class: "input", type: "text", required: true, maxlength: "60", autocomplete: "off", spellcheck: "false" }));
  const paused = /** @type {HTMLInputElement} */ (el("input", { type: "checkbox" }));
  const state = el("p", { class: "small", role: "status" });
  const runs = el("ul", { class: "sql-history", "aria-label": t("sql_schedule_runs") }, el("li", { class: "grid__empty", text: t("loading") }));
  const once = el("button", { class: "button button--secondary", type: "button", text: t("sql_schedule_once") });
  const end = el("button", { class: "button button--ghost", type: "button", text: t("sql_schedule_end") });
  const save = el("button", { class: "button button--primary", type: "submit", text: t("sql_schedule_set") });
  const form = el("form", { class: "stack" }, el("p", { class: "muted small", text: t("sql_schedule_lead") }), titled(t("sql_schedule_often"), choice), titled(t("sql_schedule_rule"), rule), titled(t("sql_schedule_zone"), zone), el("label", { class: "check" }, paused, el("span", { text: t("sql_schedule_paused") })), state, el("div", { class: "row" }, save, once, end));
  const showRule = () => {
    choice.value = Object.keys(RULES).find((name) => RULES[name] === rule.value.trim()) ?? "other";
  };
  const show = (found) => {
    once.hidden = end.hidden = !found;
    rule.value = found?.cron ?? RULES.daily;
    zone.value = found?.time_zone ?? (Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
    paused.checked = found?.paused ?? false;
    showRule();
    const next = found?.next_at ? t("sql_schedule_next", { time: when(found.next_at), owner: found.owner }) : found ? t("sql_schedule_sleeps", { owner: found.owner }) : t("sql_schedule_none");
    state.replaceChildren(...(found?.outdated ? [icon("triangle-alert", "icon--danger"), ` ${t("sql_schedule_outdated")} `] : []), next);
  };
  const load = async () => {
    try {
      show(await requestJson(address).catch((error) => (error.code === "SCHEDULE_NOT_FOUND" ? null : Promise.reject(error))));
      const found = (await requestJson(`${address}/runs`)).runs;
      runs.replaceChildren(...(found.length ? found.map(line) : [el("li", { class: "grid__empty", text: t("sql_schedule_no_runs") })]));
    } catch (error) {
      runs.replaceChildren(el("li", { class: "grid__empty", role: "alert", text: error.message }));
    }
  };
  const act = async (url, options, said) => {
    try {
      await requestJson(url, options);
      toast(t(said, { name: one.name }), "ok");
    } catch (error) {
      tell(error);
    }
    await load();
  };
  choice.addEventListener("change", () => {
    if (choice.value === "other") rule.select();
    else rule.value = RULES[choice.value];
  });
  rule.addEventListener("input", showRule);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(address, { method: "PUT", json: { cron: rule.value, time_zone: zone.value.trim(), paused: paused.checked } }, "sql_schedule_was_set");
  });
  once.addEventListener("click", () => act(`${address}/run`, { method: "POST" }, "sql_schedule_begun"));
  end.addEventListener("click", () => act(address, { method: "DELETE" }, "sql_schedule_ended"));
  show(null);
  showDialog(t("sql_schedule", { name: one.name }), [el("div", { class: "stack stack--wide" }, form, el("section", { class: "stack stack--tight" }, el("h3", { class: "small", text: t("sql_schedule_runs") }), runs))], [], { wide: true });
  choice.focus();
  await load();
}

/** @param {any} run */
function line(run) {
  const marks = { SUCCEEDED: ["circle-check", "icon--ok"], FAILED: ["circle-x", "icon--danger"], CANCELLED: ["circle-x", ""] };
  const [name, kind] = marks[run.state] ?? ["clock", ""];
  const facts = [when(run.created_at), run.owner, run.state === "SUCCEEDED" ? tn("grid_rows", run.rows ?? 0) : run.error || t(`sql_schedule_${run.state.toLowerCase()}`)];
  return el("li", { class: "row row--nowrap small" }, icon(name, kind), facts.join(" · "));
}
