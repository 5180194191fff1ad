// The shell's own behaviour: navigation, theme, menus, copying, small conveniences.
import { isApple, t } from "./core.js";
import { toast } from "./toasts.js";

const YEAR_S = 31536000;
const BUSY_MS = 8000;

/** Sets the theme here and in the cookie that the server reads. @param {string} theme */
function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `insjo_theme=${theme}; path=/; max-age=${YEAR_S}; samesite=lax${secure}`;
  for (const button of document.querySelectorAll("[data-theme-set]")) {
    button.setAttribute("aria-pressed", String(button.getAttribute("data-theme-set") === theme));
  }
  document.dispatchEvent(new CustomEvent("insjo-theme", { detail: { theme } }));
}

/** @param {boolean} open */
function setNavigation(open) {
  if (open) document.body.dataset.nav = "open";
  else delete document.body.dataset.nav;
  document.querySelector(".shell__body")?.toggleAttribute("inert", open);
  const toggle = document.querySelector("[data-nav-toggle]");
  toggle?.setAttribute("aria-expanded", String(open));
  if (open) /** @type {HTMLElement} */ (document.querySelector(".sidenav a"))?.focus();
  else if (toggle?.checkVisibility()) /** @type {HTMLElement} */ (toggle).focus();
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t("copied"), "ok");
  } catch {
    toast(t("copy_failed"), "warn");
  }
}

/** @param {Element} target */
function act(target) {
  const theme = target.closest("[data-theme-set]");
  if (theme) setTheme(theme.getAttribute("data-theme-set") ?? "auto");
  if (target.closest("[data-nav-toggle]")) setNavigation(document.body.dataset.nav !== "open");
  else if (target.closest("[data-nav-close]")) setNavigation(false);
  const copied = target.closest("[data-copy], [data-copy-from]");
  if (copied) {
    const from = copied.getAttribute("data-copy-from");
    copy(from ? document.querySelector(from)?.textContent ?? "" : copied.getAttribute("data-copy") ?? "");
  }
}

/** @param {KeyboardEvent} event @param {HTMLDetailsElement} menu */
function moveInMenu(event, menu) {
  const items = /** @type {HTMLElement[]} */ ([...menu.querySelectorAll(".menu__item")]);
  if (!items.length) return;
  const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const last = items.length - 1;
  const next = { ArrowDown: at >= last ? 0 : at + 1, ArrowUp: at <= 0 ? last : at - 1, Home: 0, End: last }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  menu.open = true;
  items[next].focus();
}

function startMenus() {
  const close = (except) => {
    for (const menu of document.querySelectorAll("details[data-menu][open]")) if (menu !== except) menu.removeAttribute("open");
  };
  document.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    const inside = target.closest("details[data-menu]");
    close(target.closest(".menu__item") ? null : inside);
  });
  document.addEventListener("keydown", (event) => {
    const menu = /** @type {HTMLDetailsElement | null} */ (/** @type {Element} */ (event.target).closest?.("details[data-menu]"));
    if (event.key === "Escape") {
      if (menu?.open) menu.querySelector("summary")?.focus();
      close(null);
      if (document.body.dataset.nav === "open") setNavigation(false);
    } else if (menu) moveInMenu(event, menu);
  });
  document.addEventListener("focusin", (event) => close(/** @type {Element} */ (event.target).closest("details[data-menu]")));
}

/** A form that was sent is not sent again by a second click; a download gives the button back after a while. */
function guardForms() {
  document.addEventListener("submit", (event) => {
    const button = /** @type {HTMLElement | null} */ (event.submitter);
    if (event.defaultPrevented || !button) return;
    if (button.getAttribute("aria-busy") === "true") event.preventDefault();
    button.setAttribute("aria-busy", "true");
    setTimeout(() => button.removeAttribute("aria-busy"), BUSY_MS);
  });
  window.addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
  });
}

/** Starts all of it. */
export function startShell() {
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element) act(event.target);
  });
  document.addEventListener("change", (event) => {
    const field = /** @type {HTMLElement} */ (event.target);
    if (field.closest?.("[data-submit-on-change]")) /** @type {HTMLInputElement} */ (field).form?.requestSubmit();
  });
  if (isApple) for (const key of document.querySelectorAll("[data-mod-key]")) key.textContent = `⌘ ${key.getAttribute("data-mod-key")}`;
  startMenus();
  guardForms();
}
