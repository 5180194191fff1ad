"""Every expression has the value, and where it is written the type, that Databricks gives it; what is not supported is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from insjo.kernel.errors import InsjoError
from insjo.sql.errors import UnsupportedFeature
from tests.conformance.conftest import Runner, same

FOLDER = Path(__file__).parent
ROWS = " FROM (VALUES (1, 'a', CAST(NULL AS INT)), (2, 'a', 5), (3, 'b', CAST(NULL AS INT))) AS q(x, y, n)"


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines() if line]


OWN = cases("sql_functions_own.jsonl")
SHARED = cases("sql_functions.jsonl")


def outcome(runner: Runner, case: dict[str, Any]) -> tuple[Any, str]:
    text = f"SELECT {case['expr']}" + (ROWS if case["kind"] == "aggregate" else "")
    try:
        return runner.value(text)
    except UnsupportedFeature:
        return {"refused": True}, ""
    except InsjoError:
        return {"error": True}, ""


@pytest.mark.parametrize("case", SHARED + OWN, ids=lambda case: str(case["expr"])[:60])
def test_an_expression_means_what_it_means_in_databricks(runner: Runner, case: dict[str, Any]) -> None:
    want = case["want"]
    got, type_text = outcome(runner, case)
    if want == {"error": True} and got == {"refused": True}:
        return
    assert same(got, want)
    if "type" in case:
        assert type_text == case["type"]


def test_the_list_is_long_enough_to_mean_something() -> None:
    assert len({case["expr"] for case in OWN}) >= 900
