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

const WORD = /[\p{L}\p{N}_$]+/uy;
const OPERATOR = /<=>|\|\||::|->|=>|<=|>=|<>|!=|==|\|>|[-+*/%=<>!|&^~?:@#]/y;
const SPACE = /\s+/y;

/**
 * The tokens of a text without its white space; `spaced` tells that some followed. Joined with it they are the text.
 * @param {string} text
 * @returns {{kind: string, text: string, spaced: boolean, from: number}[]}
 */
export function tokensOf(text) {
  const tokens = [];
  for (let at = 0; at < text.length; ) {
    SPACE.lastIndex = at;
    const space = SPACE.exec(text);
    if (space) {
      const last = tokens.at(-1);
      if (last) last.spaced = true;
      at += space[0].length;
      continue;
    }
    const { kind, end } = tokenAt(text, at);
    tokens.push({ kind, text: text.slice(at, end), spaced: false, from: at });
    at = end;
  }
  return tokens;
}

const SIGNS = { "(": "open", ")": "close", ";": "semicolon" };

/** @param {string} text @param {number} at @returns {{kind: string, end: number}} */
function tokenAt(text, at) {
  const two = text.slice(at, at + 2);
  const one = text[at];
  if (two === "--") {
    const end = text.indexOf("\n", at);
    return { kind: "line", end: end < 0 ? text.length : end };
  }
  if (two === "/*") return closed("block", text.indexOf("*/", at + 2), 2, text.length);
  if (one === "'" || one === '"' || one === "`") {
    const end = endOfQuote(text, at);
    return { kind: end - at > 1 && text[end - 1] === one ? "quoted" : "unclosed", end };
  }
  if (one in SIGNS) return { kind: SIGNS[one], end: at + 1 };
  WORD.lastIndex = at;
  const word = WORD.exec(text);
  if (word) return { kind: "word", end: at + word[0].length };
  OPERATOR.lastIndex = at;
  const operator = OPERATOR.exec(text);
  return operator ? { kind: "operator", end: at + operator[0].length } : { kind: "sign", end: at + 1 };
}

/** @param {string} kind @param {number} found @param {number} length @param {number} last */
const closed = (kind, found, length, last) => (found < 0 ? { kind: "unclosed", end: last } : { kind, end: found + length });

/**
 * Names of the parameter markers (`:name`) of a statement, each once, in their order. After a name or a bracket a colon is a path into JSON.
 * @param {string} text
 */
export function parametersOf(text) {
  const tokens = tokensOf(text);
  const names = [];
  tokens.forEach((token, index) => {
    if (token.kind !== "operator" || token.text !== ":" || token.spaced) return;
    const before = tokens[index - 1];
    const after = tokens[index + 1];
    const path = before && !before.spaced && (["word", "close"].includes(before.kind) || before.text === "]" || before.kind === "quoted");
    if (!path && after?.kind === "word" && /^[\p{L}_]/u.test(after.text) && !names.includes(after.text)) names.push(after.text);
  });
  return names;
}
