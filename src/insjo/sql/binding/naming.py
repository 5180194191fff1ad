"""Names of result columns whose text is about to be replaced: `:p`, `x` of a session, `f(2)` of a function in SQL.

All other nameless columns are named by the dialect.
"""

from __future__ import annotations

import re

from sqlglot import exp

from insjo.sql.dialect.labels import label
from insjo.sql.dialect.names import is_generator, is_known
from insjo.sql.parsing.constants import POSITIONAL

_NAME_CHARS_MAX = 1000
_MARKER = re.compile(":" + POSITIONAL + r"\d+")


def name_outputs(tree: exp.Expr) -> None:
    """Give every nameless output whose text will change the name that it has now."""
    for select in list(tree.find_all(exp.Select)):
        for output in list(select.expressions):
            if isinstance(output, exp.Alias | exp.Aliases | exp.Star) or output.is_star or not _changes(output):
                continue
            name = output.name if isinstance(output, exp.Column) else _MARKER.sub("?", label(output))
            output.replace(exp.alias_(output.copy(), exp.to_identifier(name[:_NAME_CHARS_MAX], quoted=True), copy=False))


def _changes(output: exp.Expr) -> bool:
    """Whether something in an output is replaced before the dialect sees it."""
    if isinstance(output, exp.Column):
        return True
    if isinstance(output, exp.Anonymous) and is_generator(str(output.this)):
        return False
    return any(
        isinstance(node, exp.Placeholder | exp.Column) or (isinstance(node, exp.Anonymous) and not is_known(str(node.this)))
        for node in output.walk()
    )
