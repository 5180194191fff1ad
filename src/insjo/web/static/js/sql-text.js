// Finding statements in SQL text, without understanding more of SQL than quotes and comments.

/**
 * Splits text at semicolons that stand outside quotes and comments.
 * @param {string} text
 * @returns {{from: number, to: number}[]} ranges without the semicolon, in order, also empty ones
 */
export function splitStatements(text) {
  const ranges = [];
  let from = 0;
  let at = 0;
  while (at < text.length) {
    const two = text.slice(at, at + 2);
    const one = text[at];
    if (two === "--") at = endOf(text, "\n", at + 2);
    else if (two === "/*") at = endOf(text, "*/", at + 2);
    else if (one === "'" || one === '"' || one === "`") at = endOfQuote(text, at);
    else {
      if (one === ";") {
        ranges.push({ from, to: at });
        from = at + 1;
      }
      at += 1;
    }
  }
  ranges.push({ from, to: text.length });
  return ranges;
}

/** @param {string} text @param {string} mark @param {number} at */
function endOf(text, mark, at) {
  const found = text.indexOf(mark, at);
  return found < 0 ? text.length : found + mark.length;
}

/** @param {string} text @param {number} start */
function endOfQuote(text, start) {
  const quote = text[start];
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === "\\" && quote !== "`") at += 1;
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at + 1;
      at += 1;
    }
  }
  return text.length;
}

/**
 * The statement at the cursor, trimmed; the one before it when the cursor stands behind the last semicolon.
 * @param {string} text
 * @param {number} cursor
 * @returns {{statement: string, from: number}}
 */
export function statementAt(text, cursor) {
  const ranges = splitStatements(text).filter((range) => text.slice(range.from, range.to).trim());
  const here = ranges.find((range) => cursor <= range.to + 1 && cursor >= range.from) ?? ranges.findLast((range) => range.to < cursor) ?? ranges[0];
  if (!here) return { statement: "", from: 0 };
  const raw = text.slice(here.from, here.to);
  return { statement: raw.trim(), from: here.from + (raw.length - raw.trimStart().length) };
}
