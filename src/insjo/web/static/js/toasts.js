// Short messages in the corner. They wait while the pointer or the focus is on them.
import { el, icon, iconButton, t, worded } from "./core.js";

const ICONS = { info: "info", ok: "circle-check", warn: "triangle-alert", danger: "octagon-alert" };
const SHOWN_MS = { info: 6000, ok: 4500, warn: 9000, danger: 12000 };
const SHOWN_MAX = 4;

/** @param {HTMLElement} shown @param {string} kind */
function leaveLater(shown, kind) {
  let timer = 0;
  const start = () => {
    timer = window.setTimeout(() => shown.remove(), SHOWN_MS[kind] ?? SHOWN_MS.info);
  };
  const wait = () => window.clearTimeout(timer);
  shown.addEventListener("pointerenter", wait);
  shown.addEventListener("pointerleave", start);
  shown.addEventListener("focusin", wait);
  shown.addEventListener("focusout", start);
  start();
}

/**
 * Shows a message.
 * @param {string} text
 * @param {"info" | "ok" | "warn" | "danger"} [kind]
 */
export function toast(text, kind = "info") {
  const region = document.getElementById("toasts");
  if (!region) return;
  while (region.childElementCount >= SHOWN_MAX) region.firstElementChild?.remove();
  const made = el("div", { class: `toast toast--${kind}` });
  made.append(el("span", { class: "toast__icon" }, icon(ICONS[kind])), el("p", { class: "toast__text" }, ...worded(text)), iconButton("x", t("close"), () => made.remove()));
  region.append(made);
  if (document.querySelector("dialog:modal")) raise(region);
  leaveLater(made, kind);
}

/** Brings the region above a modal dialog. @param {HTMLElement} region */
function raise(region) {
  region.hidePopover();
  region.showPopover();
}

/** Gives the toasts that came with the page their close button and their end. */
export function adoptToasts() {
  const region = document.getElementById("toasts");
  if (region) {
    region.popover = "manual";
    region.showPopover();
  }
  for (const shown of document.querySelectorAll("#toasts > [data-toast]")) {
    shown.querySelector("[data-toast-close]")?.addEventListener("click", () => shown.remove());
    const kind = Object.keys(ICONS).find((name) => shown.classList.contains(`toast--${name}`));
    leaveLater(/** @type {HTMLElement} */ (shown), kind ?? "info");
  }
}
