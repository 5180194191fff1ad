// What every island needs: texts, elements, icons, requests, numbers. No module here changes the page when it is loaded.

/** @type {Record<string, string>} */
const texts = JSON.parse(document.getElementById("ui-texts")?.textContent || "{}");
const root = document.documentElement;

/** Language of the page. */
export const lang = root.lang || "en";

/** True where the Command key takes the place of Control. */
export const isApple = /Mac|iPhone|iPad/.test(navigator.platform);

/** The nonce of this page, for libraries that add style elements. */
export const nonce = () => /** @type {HTMLScriptElement | null} */ (document.querySelector("script[nonce]"))?.nonce ?? "";

/**
 * The text of a key, with `{name}` replaced by its value.
 * @param {string} key
 * @param {Record<string, unknown>} [values]
 */
export function t(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/**
 * The text of a counted thing: `key_one` for one, `key` for all other numbers.
 * @param {string} key
 * @param {number} count
 */
export function tn(key, count) {
  return t(count === 1 && `${key}_one` in texts ? `${key}_one` : key, { count: formatNumber(count) });
}

const integers = new Intl.NumberFormat(lang);
const decimals = new Intl.NumberFormat(lang, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat(lang, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** @param {number} value */
export const formatNumber = (value) => integers.format(value);

/** Seconds with as many digits as matter. @param {number} seconds */
export const formatSeconds = (seconds) => (seconds < 10 ? hundredths : decimals).format(seconds);

/** Bytes in the largest unit that leaves a whole part. @param {number} bytes */
export function formatBytes(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? integers.format(value) : decimals.format(value)} ${units[unit]}`;
}

/**
 * Makes an element. Attributes with the value null, undefined or false are left out; `on` holds listeners, `text` the text.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (name === "text") made.textContent = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined && child !== false) made.append(child);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * One symbol of vendor/icons.svg.
 * @param {string} name
 * @param {string} [extra] further class names
 */
export function icon(name, extra = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${extra}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${root.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}

/** Text with identifiers in backticks, as nodes. @param {string} text @returns {(string | HTMLElement)[]} */
export function worded(text) {
  return text.split(/`([^`]+)`/).map((piece, index) => (index % 2 ? el("code", { text: piece }) : piece));
}

/** A small button that shows only an icon. @param {string} name @param {string} label @param {(event: Event) => void} act */
export function iconButton(name, label, act) {
  const attributes = { class: "button button--ghost button--icon button--small", type: "button", "aria-label": label, title: label, on: { click: act } };
  return el("button", attributes, icon(name));
}

const LEVEL_ICONS = { public: "globe", internal: "building-2", confidential: "lock", secret: "shield-alert" };

/**
 * A label as components/data.html draws it.
 * @param {{level: string, categories?: string[], zone?: string} | null | undefined} label
 * @param {string[]} [origins] what the label comes from; shown on hover
 */
export function labelBadge(label, origins = []) {
  if (!label || !(label.level in LEVEL_ICONS)) return null;
  const title = origins.length ? t("label_from", { origins: [...new Set(origins)].slice(0, 8).join(", ") }) : null;
  const level = el("span", { class: "label__level" }, icon(LEVEL_ICONS[label.level]), t(`level_${label.level}`));
  const words = [...(label.categories ?? [])].sort().map((word) => el("span", { class: "label__word", text: word }));
  const zone = label.zone && label.zone !== "any" ? el("span", { class: "label__word", text: t(`zone_${label.zone}`) }) : null;
  return el("span", { class: `label label--${label.level}`, title }, level, ...words, zone);
}

/** A refusal or failure of a request, in words that may be shown. */
export class RequestFailed extends Error {
  /**
   * @param {number} status 0 when no answer came
   * @param {{message?: string, hint?: string, code?: string}} said
   */
  constructor(status, said = {}) {
    super(said.message || (status === 0 ? t("offline") : status === 401 ? t("signed_out") : t("failed", { status })));
    this.status = status;
    this.hint = said.hint ?? "";
    this.code = said.code ?? "";
  }
}

/** What a refusal's body says, whichever door wrote it. @param {string} body */
export function readRefusal(body) {
  try {
    const parsed = JSON.parse(body);
    const inner = parsed.error && typeof parsed.error === "object" ? parsed.error : parsed;
    return { message: inner.message, hint: inner.hint ?? parsed.hint, code: inner.error_code ?? inner.code };
  } catch {
    return {};
  }
}

/**
 * A request of the same origin. Throws RequestFailed, or AbortError when `signal` fired.
 * @param {string} url
 * @param {{method?: string, json?: unknown, body?: BodyInit, headers?: Record<string, string>, signal?: AbortSignal}} [options]
 */
export async function request(url, { method, json, body, headers = {}, signal } = {}) {
  const sent = json === undefined ? body : JSON.stringify(json);
  const all = json === undefined ? headers : { "Content-Type": "application/json", ...headers };
  let response;
  try {
    const settings = { method: method ?? (sent === undefined ? "GET" : "POST"), body: sent, headers: all, signal, credentials: "same-origin" };
    response = await fetch(url, /** @type {RequestInit} */ (settings));
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new RequestFailed(0);
  }
  if (!response.ok) throw new RequestFailed(response.status, readRefusal(await response.text().catch(() => "")));
  return response;
}

/** The JSON of a reply; an empty body is null. @param {string} url @param {Parameters<typeof request>[1]} [options] */
export async function requestJson(url, options = {}) {
  const response = await request(url, { ...options, headers: { Accept: "application/json", ...options.headers } });
  const text = await response.text();
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestFailed(response.status);
  }
}

/** True for a key that goes with Control, or Command on Apple machines. @param {KeyboardEvent} event */
export const withMod = (event) => (isApple ? event.metaKey : event.ctrlKey) && !event.altKey;

/** An address is followed only when it stays here or is plain web. @param {string} address */
export function safeAddress(address) {
  try {
    const parsed = new URL(address, location.href);
    return ["http:", "https:"].includes(parsed.protocol) ? parsed.href : "#";
  } catch {
    return "#";
  }
}
