// Native dialogs: questions before something changes, and dialogs that pages write themselves.
import { el, iconButton, t } from "./core.js";

/** @param {HTMLDialogElement} dialog */
function closeBeside(dialog) {
  dialog.addEventListener("click", (event) => {
    if (event.target !== dialog) return;
    const box = dialog.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) dialog.close();
  });
}

/**
 * Shows `content` in a dialog of its own that is removed when it closes.
 * @param {string} title
 * @param {Node[]} content
 * @param {Node[]} [foot]
 * @param {{wide?: boolean}} [options]
 * @returns {HTMLDialogElement}
 */
export function showDialog(title, content, foot = [], { wide = false } = {}) {
  const dialog = /** @type {HTMLDialogElement} */ (el("dialog", { class: `dialog${wide ? " dialog--wide" : ""}`, "aria-label": title }));
  const header = el("div", { class: "dialog__header" }, el("h2", { text: title }), iconButton("x", t("close"), () => dialog.close()));
  dialog.append(header, el("div", { class: "dialog__body" }, ...content));
  if (foot.length) dialog.append(el("div", { class: "dialog__foot" }, ...foot));
  dialog.addEventListener("close", () => dialog.remove());
  closeBeside(dialog);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Asks before something changes; `changes` names exactly what will.
 * @param {{title?: string, lead?: string, changes: string, action?: string, danger?: boolean}} question
 * @returns {Promise<boolean>}
 */
export function confirmDialog({ title, lead, changes, action, danger = false }) {
  return new Promise((resolve) => {
    let said = false;
    const content = [lead ? el("p", { text: lead }) : null, el("p", { class: lead ? "dialog__changes" : "", text: changes })];
    const no = el("button", { class: "button button--secondary", type: "button", text: t("cancel") });
    const yes = el("button", { class: `button button--${danger ? "danger" : "primary"}`, type: "button", text: action || t("confirm"), "data-confirmed": true });
    const dialog = showDialog(title || t("confirm_title"), /** @type {Node[]} */ (content.filter(Boolean)), [no, yes]);
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => {
      said = true;
      dialog.close();
    });
    dialog.addEventListener("close", () => resolve(said));
    (danger ? no : yes).focus();
  });
}

/** Makes `data-confirm`, `data-dialog-open` and `data-dialog-close` work, also in what htmx brings later. */
export function startDialogs() {
  const confirmed = new WeakSet();
  document.addEventListener(
    "submit",
    (event) => {
      const form = /** @type {HTMLFormElement} */ (event.target);
      if (!form.dataset.confirm || confirmed.delete(form)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      const { confirm, confirmTitle, confirmAction } = form.dataset;
      const question = { title: confirmTitle, changes: confirm, action: confirmAction, danger: "confirmDanger" in form.dataset };
      confirmDialog(question).then((said) => {
        if (!said) return;
        confirmed.add(form);
        form.requestSubmit(/** @type {SubmitEvent} */ (event).submitter);
      });
    },
    true,
  );
  document.addEventListener("htmx:confirm", (event) => {
    const { detail } = /** @type {CustomEvent} */ (event);
    if (!detail.question) return;
    event.preventDefault();
    confirmDialog({ changes: detail.question }).then((said) => said && detail.issueRequest(true));
  });
  document.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    const opener = target.closest?.("[data-dialog-open]");
    if (opener) {
      const dialog = document.getElementById(opener.getAttribute("data-dialog-open") ?? "");
      if (dialog instanceof HTMLDialogElement && !dialog.open) {
        if (!dialog.dataset.beside) closeBeside(dialog);
        dialog.dataset.beside = "yes";
        dialog.showModal();
      }
    }
    if (target.closest?.("[data-dialog-close]")) target.closest("dialog")?.close();
  });
}
