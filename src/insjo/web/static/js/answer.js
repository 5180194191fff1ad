// One answer of the chat while it comes: steps, live text, sources, and at the end what the server rendered.
import { el, icon, iconButton, labelBadge, safeAddress, t, tn, worded } from "./core.js";
import { toast } from "./toasts.js";

/** @typedef {{number: number, title: string, place?: string, href?: string}} Source */

export class Answer {
  text = "";
  ended = false;
  /** @type {Map<number, Source>} */
  sources = new Map();

  constructor() {
    this.live = el("div", { class: "bubble__text bubble__text--live" });
    this.waiting = el("p", { class: "loading" }, icon("loader-circle", "icon--spin"), t("chat_thinking"));
    this.steps = el("div", { class: "bubble__steps" });
    this.foot = el("div", { class: "bubble__foot" });
    this.main = el("div", { class: "bubble__main" }, this.steps, this.waiting);
    const face = el("span", { class: "bubble__face" }, el("img", { src: document.documentElement.dataset.logo, alt: "" }));
    this.element = el("article", { class: "bubble", "aria-label": t("chat_answer"), "aria-busy": "true" }, face, this.main);
  }

  /** @param {string} name @param {any} data */
  take(name, data) {
    const takers = { retrieved: this.retrieved, tool: this.tool, delta: this.delta, cited: this.cited, notice: this.notice, finished: this.finished, error: this.failed };
    takers[name]?.call(this, data);
  }

  retrieved({ count }) {
    this.steps.append(el("span", { class: "bubble__step" }, icon("file-search"), tn("chat_retrieved", count ?? 0)));
  }

  tool({ name, state, sql, summary }) {
    const before = /** @type {HTMLElement | null} */ (this.steps.querySelector("[data-running]"));
    if (state === "returned" && before) {
      before.removeAttribute("data-running");
      before.replaceChildren(icon("check"), summary ? `${t("chat_tool_done", { name })}: ${summary}` : t("chat_tool_done", { name }));
      return;
    }
    const line = el("span", { class: "bubble__step", "data-running": true }, icon("loader-circle", "icon--spin"), t("chat_tool", { name }));
    this.steps.append(line);
    if (sql) this.steps.append(el("details", {}, el("summary", { text: "SQL" }), el("pre", { tabindex: "0", text: sql })));
  }

  delta({ text }) {
    if (!this.live.isConnected) {
      this.waiting.remove();
      this.main.append(this.live);
    }
    this.text += text;
    this.live.append(text);
  }

  cited(source) {
    this.sources.set(source.number, source);
  }

  notice({ text, kind }) {
    const name = kind === "error" || kind === "blocked" ? "shield-alert" : "shield-check";
    this.steps.before(el("p", { class: "bubble__notice" }, icon(name), el("span", {}, ...worded(text))));
  }

  /** @param {{html: string, label?: any, model?: string, sources?: Source[]}} data */
  finished({ html, label, model, sources }) {
    const rendered = el("div", { class: "bubble__text prose" });
    rendered.innerHTML = html;
    this.live.remove();
    this.waiting.remove();
    this.main.append(rendered);
    this.showSources(sources ?? [...this.sources.values()]);
    const badge = labelBadge(label);
    if (badge) this.foot.append(badge);
    if (model) this.foot.append(el("span", { text: model }));
    this.foot.append(iconButton("copy", t("chat_copy"), () => copyText(rendered.innerText)));
    this.close();
  }

  /** @param {Source[]} sources */
  showSources(sources) {
    if (!sources.length) return;
    const cards = sources.map((source) => {
      const parts = [el("span", { class: "source__number", text: source.number }), el("span", { class: "source__title", text: source.title }), el("span", { class: "source__place", text: source.place ?? "" })];
      return el("li", {}, el(source.href ? "a" : "div", { class: "source", href: source.href ? safeAddress(source.href) : null }, ...parts));
    });
    this.main.append(el("ul", { class: "sources", "aria-label": t("chat_sources") }, ...cards));
  }

  /** @param {{message: string, hint?: string}} error @param {() => void} [retry] */
  failed({ message, hint }, retry) {
    const alert = el("div", { class: "alert alert--danger", role: "alert" }, icon("octagon-alert"), el("p", { class: "alert__title", text: t("chat_error") }), el("p", { class: "alert__body" }, ...worded(message)));
    if (hint) alert.append(el("p", { class: "alert__hint" }, ...worded(hint)));
    this.retryAt = alert;
    this.main.append(alert);
    if (retry) this.offerRetry(retry);
    this.close();
  }

  /** @param {() => void} retry */
  offerRetry(retry) {
    const again = el("button", { class: "button button--secondary button--small", type: "button" }, icon("rotate-ccw"), t("retry"));
    again.addEventListener("click", retry);
    (this.retryAt ?? this.foot).append(this.retryAt ? el("p", { class: "alert__hint" }, again) : again);
  }

  /** The person stopped it, or the stream was cut. @param {string} words @param {() => void} retry */
  cut(words, retry) {
    this.foot.append(el("span", { text: words }));
    this.close();
    this.offerRetry(retry);
  }

  close() {
    this.ended = true;
    this.waiting.remove();
    this.live.classList.remove("bubble__text--live");
    for (const line of this.steps.querySelectorAll("[data-running]")) line.querySelector(".icon--spin")?.remove();
    this.element.setAttribute("aria-busy", "false");
    this.main.append(this.foot);
  }
}

/** @param {string} text */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t("copied"), "ok");
  } catch {
    toast(t("copy_failed"), "warn");
  }
}

/** The bubble of what the person wrote. @param {string} text @param {string[]} files */
export function personBubble(text, files) {
  const chips = files.map((name) => el("span", { class: "chip chip--plain" }, icon("file-text"), el("span", { text: name })));
  const main = el("div", { class: "bubble__main" }, text, files.length ? el("div", { class: "bubble__files" }, ...chips) : null);
  return el("article", { class: "bubble bubble--person", "aria-label": t("chat_you") }, main);
}
