// The SQL statement API as the browser speaks it: submit, poll, fetch chunks, cancel.
import { requestJson } from "./core.js";

const POLL_FIRST_MS = 30;
const POLL_MAX_MS = 1000;
const ENDED = new Set(["SUCCEEDED", "FAILED", "CANCELED", "CLOSED"]);

/** @param {number} milliseconds @param {AbortSignal} signal */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const leave = () => reject(new DOMException("", "AbortError"));
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    setTimeout(() => {
      signal.removeEventListener("abort", leave);
      resolve(undefined);
    }, milliseconds);
  });
}

/** One statement on its way. */
export class StatementRun {
  id = "";
  cancelWanted = false;
  leaving = new AbortController();

  /** @param {string} url address of the statements */
  constructor(url) {
    this.url = url;
  }

  /**
   * Submits the statement and waits for its end.
   *
   * The statement is sent with a wait of 0 s, so that its id, and with it the right to cancel, is there at once;
   * the first polls follow so closely that a fast statement is not slower for it.
   * @param {Record<string, unknown>} body
   * @param {(reply: any) => void} tell called with every state that is not the end
   * @returns {Promise<any>} the reply with an end state
   */
  async execute(body, tell) {
    const { signal } = this.leaving;
    const wait = { wait_timeout: "0s", on_wait_timeout: "CONTINUE", disposition: "INLINE", format: "JSON_ARRAY" };
    let reply = await requestJson(this.url, { json: { ...wait, ...body }, signal });
    this.id = reply.statement_id;
    if (this.cancelWanted) await this.sendCancel();
    let wait_ms = POLL_FIRST_MS;
    while (!ENDED.has(reply.status?.state)) {
      tell(reply);
      await pause(wait_ms, signal);
      wait_ms = Math.min(POLL_MAX_MS, wait_ms * 1.5);
      reply = await requestJson(this.address(), { signal });
    }
    return reply;
  }

  address() {
    return `${this.url}/${encodeURIComponent(this.id)}`;
  }

  /** Rows of a further chunk. @param {number} index @returns {Promise<any>} */
  chunk(index) {
    return requestJson(`${this.address()}/result/chunks/${index}`, { signal: this.leaving.signal });
  }

  /** Asks the server to stop; before the id is known the wish is kept. */
  async cancel() {
    this.cancelWanted = true;
    if (this.id) await this.sendCancel();
  }

  async sendCancel() {
    await requestJson(`${this.address()}/cancel`, { method: "POST", json: {} });
  }

  /** Stops listening without a word to the server. */
  abandon() {
    this.leaving.abort();
  }
}
