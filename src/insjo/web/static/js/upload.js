// <insjo-upload>: files into a volume, one after the other, each with its progress, its end and its error.
import { RequestFailed, el, formatBytes, icon, iconButton, readRefusal, t, worded } from "./core.js";
import { toast } from "./toasts.js";

const FILES_MAX = 200;
const AT_ONCE = 2;

/** @typedef {{file: File, path: string, row: HTMLElement, state: string, transfer: XMLHttpRequest | null}} Upload */

class InsjoUpload extends HTMLElement {
  /** @type {Upload[]} */
  uploads = [];
  /** @type {Upload[]} uploads of which nothing has been told yet */
  untold = [];

  connectedCallback() {
    if (this.list) return;
    this.zone = /** @type {HTMLElement} */ (this.querySelector("[data-drop]"));
    this.list = /** @type {HTMLElement} */ (this.querySelector("[data-list]"));
    const picker = /** @type {HTMLInputElement} */ (this.querySelector("input[type=file]"));
    picker.addEventListener("change", () => {
      this.add([...(picker.files ?? [])]);
      picker.value = "";
    });
    const over = (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      this.zone.toggleAttribute("data-over", event.type !== "dragleave" || this.zone.contains(event.relatedTarget));
    };
    for (const name of ["dragenter", "dragover", "dragleave"]) this.zone.addEventListener(name, over);
    this.zone.addEventListener("drop", (event) => {
      event.preventDefault();
      this.zone.removeAttribute("data-over");
      this.add([...(event.dataTransfer?.files ?? [])]);
    });
    this.leave = (event) => this.pending().length && event.preventDefault();
    window.addEventListener("beforeunload", this.leave);
  }

  disconnectedCallback() {
    if (this.leave) window.removeEventListener("beforeunload", this.leave);
    for (const upload of this.uploads) upload.transfer?.abort();
  }

  pending() {
    return this.uploads.filter((upload) => upload.state === "waiting" || upload.state === "sending");
  }

  /** Starts sending files. @param {File[]} files */
  add(files) {
    if (this.pending().length + files.length > FILES_MAX) {
      toast(t("upload_too_many", { max: FILES_MAX }), "warn");
      return;
    }
    for (const file of files) {
      const upload = { file, path: `${this.dataset.path}/${file.name}`, row: el("li", { class: "upload__file" }), state: "waiting", transfer: null };
      this.uploads.push(upload);
      this.untold.push(upload);
      this.list.append(upload.row);
      this.show(upload, "waiting", t("upload_waiting"));
    }
    this.next();
  }

  next() {
    const sending = this.uploads.filter((upload) => upload.state === "sending").length;
    const waiting = this.uploads.filter((upload) => upload.state === "waiting");
    for (const upload of waiting.slice(0, AT_ONCE - sending)) this.send(upload);
    if (this.pending().length || !this.untold.length) return;
    const paths = this.untold.filter((upload) => upload.state === "done").map((upload) => upload.path);
    this.untold = [];
    this.dispatchEvent(new CustomEvent("insjo-upload-done", { bubbles: true, detail: { paths } }));
  }

  /** @param {Upload} upload */
  send(upload) {
    const transfer = new XMLHttpRequest();
    upload.transfer = transfer;
    const total = formatBytes(upload.file.size);
    this.show(upload, "sending", t("upload_sending", { done: formatBytes(0), total }), { loaded: 0 });
    const bar = /** @type {HTMLProgressElement} */ (upload.row.querySelector("progress"));
    const words = /** @type {HTMLElement} */ (upload.row.querySelector(".upload__state"));
    transfer.upload.addEventListener("progress", (event) => {
      bar.value = event.loaded;
      words.textContent = t("upload_sending", { done: formatBytes(event.loaded), total });
    });
    transfer.addEventListener("load", () => this.ended(upload, transfer));
    transfer.addEventListener("error", () => this.failed(upload, new RequestFailed(0)));
    transfer.addEventListener("abort", () => {
      this.show(upload, "cancelled", t("upload_cancelled"));
      this.next();
    });
    const path = upload.path.split("/").map(encodeURIComponent).join("/");
    transfer.open("PUT", `/api/2.0/fs/files${path}${"overwrite" in this.dataset ? "?overwrite=true" : ""}`);
    transfer.setRequestHeader("Content-Type", "application/octet-stream");
    transfer.send(upload.file);
  }

  /** @param {Upload} upload @param {XMLHttpRequest} transfer */
  ended(upload, transfer) {
    if (transfer.status >= 200 && transfer.status < 300) {
      this.show(upload, "done", `${t("upload_done")} · ${formatBytes(upload.file.size)}`);
      this.next();
      return;
    }
    const said = readRefusal(transfer.responseText);
    if (transfer.status === 409 && !said.message) said.message = t("upload_exists");
    this.failed(upload, new RequestFailed(transfer.status, said));
  }

  /** @param {Upload} upload @param {RequestFailed} error */
  failed(upload, error) {
    this.show(upload, "failed", t("upload_failed"), { error });
    this.next();
  }

  /** @param {Upload} upload @param {string} state @param {string} words @param {{loaded?: number, error?: RequestFailed}} [more] */
  show(upload, state, words, { loaded, error } = {}) {
    upload.state = state;
    upload.row.dataset.state = state;
    const { name, size } = upload.file;
    const pictures = { done: "circle-check", failed: "octagon-alert", cancelled: "circle-x" };
    const pending = state === "waiting" || state === "sending";
    const button = pending
      ? iconButton("x", t("upload_cancel", { name }), () => this.cancel(upload))
      : state === "done"
        ? el("span")
        : iconButton("rotate-ccw", t("upload_retry", { name }), () => this.retry(upload));
    upload.row.replaceChildren(icon(pictures[state] ?? "file-text"), el("span", { class: "upload__name", text: name, title: upload.path }), el("span", { class: "upload__state", text: words }), button);
    if (loaded !== undefined) upload.row.append(el("progress", { class: "progress", max: Math.max(size, 1), value: loaded, "aria-label": name }));
    if (error) upload.row.append(el("p", { class: "field__error", role: "alert" }, el("span", {}, ...worded([error.message, error.hint].filter(Boolean).join(" ")))));
  }

  /** @param {Upload} upload */
  cancel(upload) {
    if (upload.transfer) upload.transfer.abort();
    else {
      this.show(upload, "cancelled", t("upload_cancelled"));
      this.next();
    }
  }

  /** @param {Upload} upload */
  retry(upload) {
    upload.transfer = null;
    this.show(upload, "waiting", t("upload_waiting"));
    if (!this.untold.includes(upload)) this.untold.push(upload);
    this.next();
  }
}

customElements.define("insjo-upload", InsjoUpload);
