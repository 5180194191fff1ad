// What the assistant may know about the page that it stands beside.

/** @type {Record<string, unknown>} */
const context = JSON.parse(document.getElementById("page-context")?.textContent || "{}");
const VALUE_MAX = 20000;

/**
 * Adds or replaces a value; null removes it. Long texts are cut.
 * @param {string} key
 * @param {unknown} value
 */
export function setContext(key, value) {
  if (value === null || value === undefined || value === "") delete context[key];
  else context[key] = typeof value === "string" ? value.slice(0, VALUE_MAX) : value;
  document.dispatchEvent(new CustomEvent("insjo-context"));
}

/** A copy of all values. */
export const getContext = () => ({ ...context });
