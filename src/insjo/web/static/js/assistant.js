// The assistant beside every page. It shows links and offers changes; a change is made only after the dialog that names it.
import { getContext } from "./context.js";
import { el, icon, requestJson, safeAddress, t, withMod, worded } from "./core.js";
import { confirmDialog } from "./dialogs.js";
import { toast } from "./toasts.js";

const OPEN_KEY = "insjo.assistant.open";
const TURNS_MAX = 40;

/** @typedef {{kind: "link" | "confirm", label: string, href?: string, action_id?: string, changes?: string}} Action */

class InsjoAssistant extends HTMLElement {
  busy = false;

  connectedCallback() {
    this.drawer = /** @type {HTMLElement} */ (this.closest(".drawer"));
    this.log = /** @type {HTMLElement} */ (this.querySelector("[data-assistant-log]"));
    this.intro = this.querySelector("[data-assistant-intro]");
    this.form = /** @type {HTMLFormElement} */ (this.querySelector("[data-assistant-form]"));
    this.field = /** @type {HTMLTextAreaElement} */ (this.form.querySelector("textarea"));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask(this.field.value);
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.form.requestSubmit();
    });
    this.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.toggle(false);
    });
    this.addEventListener("click", (event) => this.clicked(/** @type {Element} */ (event.target)));
    document.addEventListener("insjo-context", () => this.showContext());
    this.showContext();
    if (sessionStorage.getItem(OPEN_KEY) === "yes" && window.innerWidth > 1248) this.toggle(true, false);
  }

  /** @param {boolean} [open] @param {boolean} [focus] */
  toggle(open = !this.drawer.hasAttribute("data-open"), focus = true) {
    this.drawer.toggleAttribute("data-open", open);
    sessionStorage.setItem(OPEN_KEY, open ? "yes" : "no");
    const opener = /** @type {HTMLElement | null} */ (document.querySelector(".topbar [data-assistant-toggle]"));
    opener?.setAttribute("aria-expanded", String(open));
    if (!focus) return;
    if (open) this.field.focus();
    else opener?.focus();
  }

  /** @param {Element} target */
  clicked(target) {
    const example = target.closest("button[data-assistant-ask]");
    if (example) this.ask(example.textContent ?? "");
    if (target.closest("[data-assistant-clear]")) {
      this.log.replaceChildren(...(this.intro ? [this.intro] : []));
      this.field.focus();
    }
  }

  showContext() {
    const { table, statement, error, title } = getContext();
    const what = [table ?? title, statement ? "SQL" : null, error ? "!" : null].filter(Boolean).join(" · ");
    const line = /** @type {HTMLElement} */ (this.querySelector("[data-assistant-context]"));
    line.hidden = !what;
    /** @type {HTMLElement} */ (line.querySelector("span")).textContent = t("assistant_beside", { what });
  }

  /** @param {string} text */
  async ask(text) {
    const question = text.trim();
    if (!question || this.busy) return;
    this.busy = true;
    this.field.value = "";
    this.intro?.remove();
    while (this.log.childElementCount >= TURNS_MAX) this.log.firstElementChild?.remove();
    const answer = el("div", { class: "turn__answer prose" }, el("p", { class: "loading" }, icon("loader-circle", "icon--spin"), t("assistant_thinking")));
    const turn = el("div", { class: "turn" }, el("p", { class: "turn__question", text: question }), answer);
    this.log.append(turn);
    this.log.scrollTop = this.log.scrollHeight;
    try {
      const page = document.body.dataset.path ?? location.pathname;
      const reply = await requestJson(this.dataset.askUrl ?? "", { json: { question, page, context: getContext() } });
      answer.innerHTML = reply.html;
      turn.append(...this.actions(reply.actions ?? []));
    } catch (error) {
      answer.replaceChildren(this.failure(error, question));
    }
    this.busy = false;
    turn.scrollIntoView({ block: "nearest" });
  }

  /** @param {Error & {hint?: string}} error @param {string} question */
  failure(error, question) {
    const again = el("button", { class: "button button--secondary button--small", type: "button", text: t("retry"), on: { click: () => this.ask(question) } });
    const hint = error.hint ? el("p", { class: "alert__hint" }, ...worded(error.hint)) : null;
    return el("div", { class: "alert alert--danger", role: "alert" }, icon("octagon-alert"), el("p", { class: "alert__body" }, ...worded(error.message)), hint, el("p", { class: "alert__hint" }, again));
  }

  /** @param {Action[]} actions */
  actions(actions) {
    if (!actions.length) return [];
    const made = actions.slice(0, 8).map((action) => {
      if (action.kind === "link") {
        return el("a", { class: "button button--secondary button--small", href: safeAddress(action.href ?? "") }, icon("arrow-up-right"), action.label);
      }
      const button = el("button", { class: "button button--primary button--small", type: "button" }, icon("zap"), action.label);
      button.addEventListener("click", () => this.confirm(action, /** @type {HTMLButtonElement} */ (button)));
      return button;
    });
    return [el("div", { class: "turn__actions" }, ...made)];
  }

  /** @param {Action} action @param {HTMLButtonElement} button */
  async confirm(action, button) {
    const question = { title: t("assistant_confirm_title"), lead: t("assistant_confirm_lead"), changes: action.changes || action.label, action: action.label };
    if (!(await confirmDialog(question))) return;
    button.disabled = true;
    try {
      const done = await requestJson(`${this.dataset.actionUrl}${encodeURIComponent(action.action_id ?? "")}`, { json: {} });
      toast(done?.message || t("assistant_done"), "ok");
      if (done?.secret) button.parentElement?.append(el("code", { class: "turn__secret", tabindex: "0", text: done.secret }));
      if (done?.href) button.after(el("a", { class: "button button--secondary button--small", href: safeAddress(done.href), text: t("assistant_open") }));
    } catch (error) {
      button.disabled = false;
      toast([error.message, error.hint].filter(Boolean).join(" "), "danger");
    }
  }
}

/** Registers the assistant, its shortcut and `data-assistant-ask`. */
export function startAssistant() {
  customElements.define("insjo-assistant", InsjoAssistant);
  const assistant = () => /** @type {InsjoAssistant | null} */ (document.querySelector("insjo-assistant"));
  const ask = (question) => {
    assistant()?.toggle(true);
    if (question) assistant()?.ask(question);
  };
  document.addEventListener("keydown", (event) => {
    if (!withMod(event) || event.shiftKey || event.key.toLowerCase() !== "j" || !assistant()) return;
    event.preventDefault();
    assistant()?.toggle();
  });
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    if (event.target.closest("[data-assistant-toggle]")) assistant()?.toggle();
    const asked = event.target.closest("[data-assistant-ask]:not(insjo-assistant *)");
    if (asked) ask(asked.getAttribute("data-assistant-ask") || asked.textContent);
  });
  document.addEventListener("insjo-ask", (event) => ask(/** @type {CustomEvent} */ (event).detail.question));
}
