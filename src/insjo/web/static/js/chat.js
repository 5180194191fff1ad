// <insjo-chat>: a conversation with streamed answers, files and sources.
import { Answer, personBubble } from "./answer.js";
import { el, formatBytes, icon, iconButton, t } from "./core.js";
import { postForEvents } from "./events.js";
import { toast } from "./toasts.js";

const FILES_MAX = 10;
const FILE_BYTES_MAX = 50000000;
const NEAR_END_PX = 80;

class InsjoChat extends HTMLElement {
  /** @type {File[]} */
  files = [];
  /** @type {AbortController | null} */
  running = null;

  connectedCallback() {
    if (this.form) return;
    const part = (name) => /** @type {HTMLElement} */ (this.querySelector(`[data-${name}]`));
    this.log = part("log");
    this.conversation = part("conversation");
    this.form = /** @type {HTMLFormElement} */ (part("form"));
    this.field = /** @type {HTMLTextAreaElement} */ (this.form.querySelector("textarea"));
    this.chips = part("files");
    this.stopButton = part("stop");
    this.listen();
    this.log.scrollTop = this.log.scrollHeight;
  }

  disconnectedCallback() {
    this.running?.abort();
  }

  listen() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    this.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.running) this.stop();
    });
    this.stopButton.addEventListener("click", () => this.stop());
    const picker = /** @type {HTMLInputElement | null} */ (this.querySelector("[data-attach]"));
    picker?.addEventListener("change", () => {
      this.attach([...(picker.files ?? [])]);
      picker.value = "";
    });
    if (picker) this.listenForFiles();
    this.addEventListener("click", (event) => {
      const example = event.target instanceof Element ? event.target.closest("[data-say]") : null;
      if (example) this.send(example.getAttribute("data-say") || example.textContent || "");
    });
  }

  listenForFiles() {
    const over = (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      this.toggleAttribute("data-over", event.type !== "dragleave" || this.contains(event.relatedTarget));
    };
    for (const name of ["dragenter", "dragover", "dragleave"]) this.addEventListener(name, over);
    this.addEventListener("drop", (event) => {
      this.removeAttribute("data-over");
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      this.attach([...event.dataTransfer.files]);
    });
    this.field.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length) {
        event.preventDefault();
        this.attach(files);
      }
    });
  }

  /** @param {File[]} files */
  attach(files) {
    for (const file of files) {
      if (this.files.length >= FILES_MAX) {
        toast(t("chat_files_max", { max: FILES_MAX }), "warn");
        break;
      }
      if (file.size > FILE_BYTES_MAX) toast(t("chat_file_big", { name: file.name, max: formatBytes(FILE_BYTES_MAX) }), "warn");
      else this.files.push(file);
    }
    this.showFiles();
    this.field.focus();
  }

  showFiles() {
    this.chips.hidden = !this.files.length;
    const chips = this.files.map((file) => {
      const remove = iconButton("x", t("chat_remove_file", { name: file.name }), () => {
        this.files = this.files.filter((kept) => kept !== file);
        this.showFiles();
        this.field.focus();
      });
      return el("span", { class: "chip" }, icon("file-text"), el("span", { text: `${file.name} · ${formatBytes(file.size)}` }), remove);
    });
    this.chips.replaceChildren(...chips);
  }

  /** @param {string} [given] text in place of the field's */
  send(given) {
    const text = (given ?? this.field.value).trim();
    if (this.running || (!text && !this.files.length)) return;
    const files = this.files;
    const body = new FormData(this.form);
    body.set("text", text);
    for (const file of files) body.append("files", file, file.name);
    this.conversation.querySelector("[data-intro]")?.remove();
    this.conversation.append(personBubble(text, files.map((file) => file.name)));
    if (given === undefined) this.field.value = "";
    this.files = [];
    this.showFiles();
    this.answer(body);
  }

  /** @param {FormData} body */
  async answer(body) {
    const answer = new Answer();
    const again = () => {
      if (this.running) return;
      answer.element.remove();
      this.answer(body);
    };
    this.conversation.append(answer.element);
    this.setRunning(new AbortController());
    this.follow(true);
    try {
      for await (const { name, data } of postForEvents(this.dataset.sendUrl ?? "", body, this.running.signal)) {
        this.take(answer, name, data, again);
        if (answer.ended) break;
      }
      if (!answer.ended) answer.cut(t("chat_cut"), again);
    } catch (error) {
      if (error.name === "AbortError") answer.cut(t("chat_stopped"), again);
      else if (answer.text) answer.cut(t("chat_cut"), again);
      else answer.failed(error, again);
    } finally {
      this.setRunning(null);
      this.follow();
    }
  }

  /** @param {Answer} answer @param {string} name @param {any} data @param {() => void} again */
  take(answer, name, data, again) {
    const atEnd = this.atEnd();
    answer.take(name, data);
    if (name === "error") answer.offerRetry(again);
    if (name === "started") this.moveTo(data);
    if (name === "finished") this.finished(data);
    if (atEnd) this.follow(true);
  }

  /** What follows belongs to this conversation, also after a stop or a failure. @param {any} data */
  moveTo(data) {
    if (data.send_url) this.dataset.sendUrl = data.send_url;
    if (data.conversation_url) history.replaceState(null, "", data.conversation_url);
  }

  /** @param {any} data */
  finished(data) {
    this.moveTo(data);
    this.dispatchEvent(new CustomEvent("insjo-chat-finished", { bubbles: true, detail: data }));
  }

  /** @param {AbortController | null} running */
  setRunning(running) {
    this.running = running;
    this.toggleAttribute("data-busy", Boolean(running));
    this.stopButton.hidden = !running;
    if (!running) this.field.focus({ preventScroll: true });
  }

  stop() {
    this.running?.abort();
  }

  atEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR_END_PX;
  }

  /** Keeps the end in sight, unless the person has scrolled back. @param {boolean} [always] */
  follow(always = false) {
    if (always || this.atEnd()) this.log.scrollTop = this.log.scrollHeight;
  }
}

customElements.define("insjo-chat", InsjoChat);
