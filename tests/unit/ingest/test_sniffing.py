"""How a text file is written, when what is asked for is odd."""

from __future__ import annotations

import pytest

from insjo.ingest.errors import LoadInvalid
from insjo.ingest.sniffing import form_of
from insjo.ingest.statements import read_files
from insjo.ingest.types import Source


@pytest.mark.parametrize("delimiter", ["||", '"', "\n", "--", "𐍈𐍈"])
def test_a_delimiter_that_python_does_not_read_is_no_failure(delimiter: str) -> None:
    found = form_of(f"id{delimiter}name\n1{delimiter}2\n".encode(), delimiter=delimiter)
    assert (found.delimiter, found.encoding) == (delimiter, "utf-8")


@pytest.mark.parametrize("encoding", ["no such", "hex", "a\0b", "idna"])
def test_an_encoding_that_nothing_reads_is_left_to_the_reader(encoding: str) -> None:
    assert form_of(b"id;name\n1;2\n", delimiter=";", encoding=encoding).encoding == encoding


@pytest.mark.parametrize("option", ["", "a b", "x => 1) --", "''", "ö", "1a"])
def test_an_option_is_a_word(option: str) -> None:
    with pytest.raises(LoadInvalid):
        read_files(Source("/Volumes/a/b/c/d.csv", "csv", {option: "1"}))
