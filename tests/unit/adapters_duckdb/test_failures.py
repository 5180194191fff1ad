"""The engine's words become codes and sentences."""

from __future__ import annotations

import pytest

from insjo.adapters.duckdb.failures import classify, clean, error_from
from insjo.sql.errors import DiskFull, OutOfMemory, StatementFailed, UnsupportedFeature

SAID = [
    ("Conversion Error: Could not convert string 'x' to INT32\nLINE 1: SELECT", "CAST_INVALID_INPUT"),
    ("Conversion Error: Could not convert string '[DIVIDE_BY_ZERO] Division by zero.' to INT64\n\nLINE 1: x", "DIVIDE_BY_ZERO"),
    (
        "Conversion Error: Type INT32 with value 300 can't be cast because the value is out of range for the destination type INT8",
        "CAST_OVERFLOW",
    ),
    ("Conversion Error: Could not cast value 12345 to DECIMAL(3,0) when casting from source column c0", "CAST_OVERFLOW"),
    ('Conversion Error: Casting value "123.456" to type DECIMAL(4,2) failed: value is out of range!', "CAST_OVERFLOW"),
    ("Out of Range Error: Overflow in addition of INT32 (2147483647 + 1)!", "ARITHMETIC_OVERFLOW"),
    ("Out of Memory Error: failed to allocate data of size 16.0 MiB", "OUT_OF_MEMORY"),
    ('IO Error: Could not write file "/data/x.parquet": No space left on device', "DISK_FULL"),
    ("INTERRUPT Error: Interrupted!", "STATEMENT_CANCELLED"),
    ("Binder Error: something else", "STATEMENT_FAILED"),
]


@pytest.mark.parametrize(("text", "code"), SAID)
def test_each_kind_of_failure_has_its_code(text: str, code: str) -> None:
    assert classify(text)[0] == code


def test_messages_hold_no_paths_and_no_generated_text() -> None:
    message = clean('IO Error: Cannot open file "/srv/lake/secret/part-1.parquet": No such file\n\nLINE 1: SELECT "r1"."x" FROM')
    assert message == 'Cannot open file "<file>": No such file'


def test_messages_name_types_as_databricks_does_and_no_column_of_ours() -> None:
    said = "Conversion Error: Could not convert string 'x' to INT32 when casting from source column c0\nLINE 1: x"
    assert clean(said) == "Could not convert string 'x' to INT"


def test_our_own_errors_keep_their_words() -> None:
    text = "Conversion Error: Could not convert string '[CAST_INVALID_INPUT] The value `it's` cannot be cast to INT.' to INT64"
    assert classify(text) == ("CAST_INVALID_INPUT", "The value `it's` cannot be cast to INT.")


def test_codes_become_errors() -> None:
    assert isinstance(error_from("DISK_FULL", "m"), DiskFull)
    assert isinstance(error_from("OUT_OF_MEMORY", "m"), OutOfMemory)
    assert isinstance(error_from("UNSUPPORTED_FEATURE", "m"), UnsupportedFeature)
    other = error_from("CANNOT_PARSE_TIMESTAMP", "m")
    assert isinstance(other, StatementFailed)
    assert other.details["engine_code"] == "CANNOT_PARSE_TIMESTAMP"
