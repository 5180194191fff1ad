"""The page that lists the statements agrees with the parser and the dispatcher: nothing promised that is not there, nothing left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from insjo.sql.commands.dispatch import COMMANDS
from insjo.sql.errors import UnsupportedFeature
from insjo.sql.parsing.nodes import ExecuteImmediate, Query
from insjo.sql.parsing.parse import parse
from insjo.sql.parsing.words import ELSEWHERE
from insjo.sql.types import Parameter

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "sql-statements.md").read_text(encoding="utf-8")
RUN, REFUSED = PAGE.split("## Refused")
_EXAMPLE = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
GIVEN = (Parameter("t", "c.s.t"),)


@pytest.mark.parametrize("statement", _EXAMPLE.findall(RUN))
def test_what_the_page_promises_is_read_and_run_by_somebody(statement: str) -> None:
    command = parse(statement, GIVEN if ":t" in statement else ()).command
    assert type(command) in COMMANDS or isinstance(command, Query | ExecuteImmediate)


@pytest.mark.parametrize("statement", _EXAMPLE.findall(REFUSED))
def test_what_the_page_refuses_is_refused_by_name(statement: str) -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        parse(statement)
    assert caught.value.details["feature"]


def test_every_statement_stands_on_the_page() -> None:
    shown = {type(parse(each, GIVEN if ":t" in each else ()).command) for each in _EXAMPLE.findall(RUN)}
    missing = {command.__name__ for command in COMMANDS} - {command.__name__ for command in shown}
    assert not missing, "statements that run and have no example on the page"


def test_every_refused_word_stands_on_the_page() -> None:
    missing = sorted(word for word in ELSEWHERE if f"`{word}" not in REFUSED)
    assert not missing
