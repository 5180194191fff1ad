"""What a language model is sent that shall write a statement, and how its answer is read.  Pure functions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.agents.drafting.tables import TableFacts
    from insjo.agents.types import Example

CANNOT: Final = "CANNOT ANSWER"
ATTEMPTS_MAX: Final = 3
COLUMNS_SHOWN: Final = 80
INSTRUCTIONS_CHARS_MAX: Final = 2000
_FENCE = re.compile(r"```(?:sql)?\s*\n?(.*?)```", re.DOTALL | re.IGNORECASE)
_START = re.compile(r"\b(select|with)\b", re.IGNORECASE)

RULES: Final = (
    "You write one Databricks SQL query that answers a question on the tables below.\n"
    "- Use only these tables and columns, with their full names.\n"
    "- Only SELECT. No comments, no explanation: answer with the query alone.\n"
    f"- If these tables cannot answer the question, write exactly: {CANNOT}"
)


def system_text(instructions: str, tables: Sequence[TableFacts]) -> str:
    """Rules, what the agent is for, and the tables with their columns."""
    listed = []
    for table in tables:
        columns = ", ".join(f"{each.name} {each.type_text}" for each in table.columns[:COLUMNS_SHOWN])
        listed.append(f"{table.full_name}({columns})" + (f"  -- {table.comment}" if table.comment else ""))
    purpose = f"\n\nPurpose: {instructions[:INSTRUCTIONS_CHARS_MAX]}" if instructions else ""
    return f"{RULES}{purpose}\n\nTables:\n" + "\n".join(listed)


def question_text(question: str, examples: Sequence[Example], failures: Sequence[tuple[str, str]]) -> str:
    """Examples, the question, and what was tried before and why it failed."""
    parts = [f"Question: {each.question}\nSQL: {each.sql}" for each in examples]
    parts.append(f"Question: {question}")
    parts += [f"SQL: {sql}\nThis failed: {error}\nWrite a query that works." for sql, error in failures]
    return "\n\n".join(parts) + "\nSQL:"


def statement_in(answer: str) -> str:
    """The statement in a model's answer; empty when there is none."""
    if CANNOT in answer:
        return ""
    fenced = _FENCE.search(answer)
    text = fenced[1] if fenced else answer
    start = _START.search(text)
    return text[start.start() :].strip().rstrip(";").split(";\n")[0].strip() if start else ""
