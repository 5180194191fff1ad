// Lays SQL out anew. Only white space and the case of keywords change: every other character stays, in its order.
import { tokensOf } from "./sql-text.js";

const WIDTH = 88;
const STEP = "  ";
const CLAUSES =
  "with|select|select distinct|from|where|group by|having|qualify|window|order by|sort by|cluster by|distribute by|limit|offset|union|union all|union distinct|intersect|intersect all|" +
  "except|except all|minus|values|set|insert into|insert overwrite|merge into|using|when matched|when not matched|update|delete from|lateral view|join|inner join|" +
  "left join|left outer join|right join|right outer join|full join|full outer join|cross join|left semi join|left anti join|semi join|anti join|natural join|on";
const CLAUSE = new Set(CLAUSES.split("|"));
const FIRST_WORDS = new Set([...CLAUSE].map((clause) => clause.split(" ")[0]));
const KEYWORDS = new Set(
  (`${CLAUSES.replaceAll("|", " ")} as and or not in is null like ilike rlike between case when then else end exists all any distinct asc desc nulls first last over partition rows range ` +
    "unbounded preceding following current row create or replace table view temporary drop alter add column if true false interval cast into matched overwrite lateral by tablesample version timestamp of explain describe show").split(/\s+/),
);
const INDENTED = new Set(["on", "using"]);
const CONDITIONS = new Set(["where", "having", "qualify", "on"]);

/** @typedef {{kind: string, text: string, spaced?: boolean}} Token */
/** @typedef {Token | Node[]} Node a token, or what stands between two parentheses with them */

/** The same statement in lines of bearable length. Text that is not closed properly comes back as it was. @param {string} text */
export function formatSql(text) {
  const tokens = tokensOf(text);
  const statements = [[]];
  for (const token of tokens) {
    if (token.kind === "semicolon") statements.push([]);
    else /** @type {Token[]} */ (statements.at(-1)).push(token);
  }
  if (!balanced(tokens) || tokens.some((token) => token.kind === "unclosed")) return text;
  const laid = statements.map((statement) => lay(group(statement), ""));
  const ended = laid.map((one, index) => (index < laid.length - 1 ? `${one};` : one)).filter((one, index) => one || index < laid.length - 1);
  return ended.join("\n\n");
}

/** @param {Token[]} tokens */
function balanced(tokens) {
  let depth = 0;
  for (const { kind } of tokens) {
    depth += kind === "open" ? 1 : kind === "close" ? -1 : 0;
    if (depth < 0) return false;
  }
  return depth === 0;
}

/** Nests what stands in parentheses. @param {Token[]} tokens @returns {Node[]} */
function group(tokens) {
  /** @type {Node[][]} */
  const stack = [[]];
  for (const token of tokens) {
    if (token.kind === "open") stack.push([token]);
    else if (token.kind === "close" && stack.length > 1) {
      const inner = /** @type {Node[]} */ (stack.pop());
      inner.push(token);
      /** @type {Node[]} */ (stack.at(-1)).push(inner);
    } else /** @type {Node[]} */ (stack.at(-1)).push(token);
  }
  return stack[0];
}

const isToken = (node) => !Array.isArray(node);
const word = (node) => (node && isToken(node) && node.kind === "word" ? node.text.toLowerCase() : "");

/** The clause that begins at a place, as its words, or nothing. @param {Node[]} nodes @param {number} at */
function clauseAt(nodes, at) {
  if (!FIRST_WORDS.has(word(nodes[at])) || (isToken(nodes[at - 1]) && nodes[at - 1]?.text === ".")) return null;
  for (let length = 4; length > 0; length -= 1) {
    const words = nodes.slice(at, at + length).map(word);
    if (words.length === length && words.every(Boolean) && CLAUSE.has(words.join(" "))) return words;
  }
  return null;
}

/** Cuts a level into its clauses. @param {Node[]} nodes */
function clausesOf(nodes) {
  /** @type {{words: string[], nodes: Node[]}[]} */
  const clauses = [{ words: [], nodes: [] }];
  for (let at = 0; at < nodes.length; ) {
    const words = clauseAt(nodes, at);
    if (words) clauses.push({ words, nodes: [] });
    else /** @type {{nodes: Node[]}} */ (clauses.at(-1)).nodes.push(nodes[at]);
    at += words ? words.length : 1;
  }
  return clauses.filter((clause) => clause.words.length || clause.nodes.length);
}

/** @param {Node[]} nodes @param {string} indent */
function lay(nodes, indent) {
  return clausesOf(nodes)
    .map((clause) => {
      const own = INDENTED.has(clause.words[0]) ? indent + STEP : indent;
      const head = clause.words.join(" ").toUpperCase();
      const line = [head, flat(clause.nodes)].filter(Boolean).join(" ");
      if (!hasLines(clause.nodes) && own.length + line.length <= WIDTH) return own + line;
      if (head === "WITH" || !head) return own + [head, parts(clause.nodes, own, ",")].filter(Boolean).join(" ");
      if (CONDITIONS.has(clause.words[0])) return `${own}${head} ${parts(clause.nodes, own + STEP, "and")}`;
      if (!clause.nodes.some((node) => isToken(node) && node.text === ",")) return `${own}${head} ${spread(clause.nodes, own)}`;
      return `${own}${head}\n${own}${STEP}${parts(clause.nodes, own + STEP, ",")}`;
    })
    .join("\n");
}

/** The parts of a list, or of a condition, a line each. @param {Node[]} nodes @param {string} indent @param {"," | "and"} separator */
function parts(nodes, indent, separator) {
  /** @type {Node[][]} */
  const found = [[]];
  let between = 0;
  for (const node of nodes) {
    const last = /** @type {Node[]} */ (found.at(-1));
    if (word(node) === "between") between += 1;
    if (separator === "," && isToken(node) && node.text === ",") {
      last.push(node);
      found.push([]);
    } else if (separator === "and" && ["and", "or"].includes(word(node)) && !(word(node) === "and" && between > 0)) found.push([node]);
    else {
      if (word(node) === "and") between -= 1;
      last.push(node);
    }
  }
  return found
    .filter((part) => part.length)
    .map((part) => spread(part, indent))
    .join(`\n${indent}`);
}

/** One part: in a line when it fits, else with its subqueries and long lists in lines of their own. @param {Node[]} nodes @param {string} indent */
function spread(nodes, indent) {
  const line = flat(nodes);
  if (!hasLines(nodes) && indent.length + line.length <= WIDTH) return line;
  let text = "";
  let before = null;
  for (const node of nodes) {
    let piece;
    if (isToken(node)) {
      piece = shown(node);
      if (["when", "else"].includes(word(node)) && text) piece = `\n${indent}${STEP}${piece}`;
      else if (word(node) === "end" && text) piece = `\n${indent}${piece}`;
    } else piece = wrapped(node, indent);
    text += (text && !piece.startsWith("\n") && apart(before, node) && !text.endsWith("\n") ? " " : "") + piece;
    if (isToken(node) && node.kind === "line") text += `\n${indent}`;
    before = node;
  }
  return text.trimEnd();
}

/** What stands in parentheses. @param {Node[]} nodes @param {string} indent */
function wrapped(nodes, indent) {
  const inner = nodes.slice(1, -1);
  const line = flat([nodes]);
  if (!hasLines(inner) && !clauseAt(inner, 0) && indent.length + line.length <= WIDTH) return line;
  if (!hasLines(inner) && line.length <= 48) return line;
  const body = clauseAt(inner, 0) ? lay(inner, indent + STEP) : indent + STEP + parts(inner, indent + STEP, ",");
  return `(\n${body}\n${indent})`;
}

/** @param {Node[]} nodes @returns {boolean} whether a comment ends its line, or a long subquery wants lines */
const hasLines = (nodes) => nodes.some((node) => (isToken(node) ? node.kind === "line" : hasLines(node) || (clauseAt(node, 1) !== null && flat([node]).length > 60)));

/** @param {Node[]} nodes @returns {string} */
function flat(nodes) {
  let text = "";
  let before = null;
  for (const node of nodes) {
    const piece = isToken(node) ? shown(node) : `(${flat(node.slice(1, -1))})`;
    text += (text && apart(before, node) ? " " : "") + piece;
    before = node;
  }
  return text;
}

/** @param {Token} token */
const shown = (token) => (token.kind === "word" && KEYWORDS.has(token.text.toLowerCase()) && !token.text.startsWith("`") ? token.text.toUpperCase() : token.text);

const COMPARISONS = new Set(["=", "<>", "!=", "<=", ">="]);

/**
 * Whether a space stands between two nodes. Spaces of the source decide, so that no two characters come together or apart that
 * mean something else so; commas and comparisons are written in one way.
 * @param {Node | null} before
 * @param {Node} node
 */
function apart(before, node) {
  if (!before) return false;
  const last = /** @type {Token & {spaced?: boolean}} */ (isToken(before) ? before : before.at(-1));
  if (isToken(node) && node.text === ",") return false;
  return last.text === "," || COMPARISONS.has(last.text) || (isToken(node) && COMPARISONS.has(node.text)) || Boolean(last.spaced);
}
