// Rows of a result that stays on the server: pages of it are fetched when they come into sight, and forgotten when they are many.
const PAGE_ROWS = 250;
const PAGES_MAX = 240;
const AT_ONCE_MAX = 2;
const WAITING_MAX = 6;

/** @typedef {(offset: number, count: number) => Promise<unknown[][]>} FetchRows */

export class RowStore {
  /** @type {Map<number, unknown[][]>} pages by number, the latest used last */ pages = new Map();
  /** @type {number[]} numbers of pages that are wanted, the most wanted last */ waiting = [];
  /** @type {Set<number>} */ loading = new Set();
  closed = false;

  /**
   * @param {number} total rows of the result
   * @param {FetchRows} fetchRows
   * @param {{arrived: () => void, failed: (error: Error) => void}} tell
   */
  constructor(total, fetchRows, tell) {
    this.total = total;
    this.fetchRows = fetchRows;
    this.tell = tell;
  }

  /** Keeps rows that are known already, from the first one on. @param {unknown[][]} rows */
  seed(rows) {
    for (let start = 0; start < rows.length; start += PAGE_ROWS) {
      const page = rows.slice(start, start + PAGE_ROWS);
      if (page.length === PAGE_ROWS || start + page.length === this.total) this.pages.set(start / PAGE_ROWS, page);
    }
  }

  /** One row, or null while it is not here. @param {number} position */
  row(position) {
    return this.pages.get(Math.floor(position / PAGE_ROWS))?.[position % PAGE_ROWS] ?? null;
  }

  /** Says which rows are in sight; what is missing of them is fetched, and older wishes are forgotten. @param {number} first @param {number} last */
  want(first, last) {
    const missing = [];
    for (let page = Math.floor(first / PAGE_ROWS); page <= Math.floor(Math.max(first, last - 1) / PAGE_ROWS); page += 1) {
      const held = this.pages.get(page);
      if (held) {
        this.pages.delete(page);
        this.pages.set(page, held);
      } else if (!this.loading.has(page) && page * PAGE_ROWS < this.total) missing.push(page);
    }
    this.waiting = [...this.waiting.filter((page) => !missing.includes(page) && Math.abs(page * PAGE_ROWS - first) < PAGE_ROWS * WAITING_MAX), ...missing.reverse()].slice(-WAITING_MAX);
    this.next();
  }

  next() {
    while (!this.closed && this.loading.size < AT_ONCE_MAX && this.waiting.length) this.load(/** @type {number} */ (this.waiting.pop()));
  }

  /** @param {number} page */
  async load(page) {
    this.loading.add(page);
    try {
      const rows = await this.fetchRows(page * PAGE_ROWS, Math.min(PAGE_ROWS, this.total - page * PAGE_ROWS));
      if (this.closed) return;
      this.pages.set(page, rows);
      for (const oldest of this.pages.keys()) {
        if (this.pages.size <= PAGES_MAX) break;
        this.pages.delete(oldest);
      }
      this.tell.arrived();
    } catch (error) {
      if (!this.closed && error.name !== "AbortError") {
        this.waiting = [];
        this.tell.failed(error);
      }
    } finally {
      this.loading.delete(page);
      this.next();
    }
  }

  /** All rows of a range, fetched as far as they are not here. @param {number} first @param {number} last behind the last one */
  async range(first, last) {
    const rows = [];
    for (let at = first; at < last; ) {
      const known = this.row(at);
      if (known) {
        rows.push(known);
        at += 1;
        continue;
      }
      const more = await this.fetchRows(at, Math.min(5000, last - at));
      if (!more.length) break;
      rows.push(...more);
      at += more.length;
    }
    return rows;
  }

  /** No answer that still comes is of interest. */
  close() {
    this.closed = true;
    this.waiting = [];
  }
}
