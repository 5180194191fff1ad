from __future__ import annotations

from pathlib import Path

import pytest

from insjo.adapters.tantivy.indexes import QUERY_TERMS_MAX, TantivyIndexes, TantivyWordIndex

ROWS = (
    "The landing gear is greased every two hundred hours.",
    "Landningsstället smörjs var tvåhundrade timme.",
    "Oil filters with part number KF-7731-B are replaced often.",
    "Semesterlagen ger rätt till semester.",
    "Åke Öberg has the list of loans.",
)


@pytest.fixture(scope="module")
def indexes() -> TantivyIndexes:
    return TantivyIndexes()


@pytest.fixture(scope="module")
def opened(indexes: TantivyIndexes, tmp_path_factory: pytest.TempPathFactory) -> TantivyWordIndex:
    folder = tmp_path_factory.mktemp("words")
    indexes.build(folder, (indexes.terms(row) for row in ROWS))
    return indexes.open(folder)


def first(opened: TantivyWordIndex, indexes: TantivyIndexes, question: str, field: str) -> int | None:
    found = opened.search(indexes.terms(question), field, 5)
    return found[0][0] if found else None


def test_stems_meet_in_both_languages(opened: TantivyWordIndex, indexes: TantivyIndexes) -> None:
    assert first(opened, indexes, "How is landing gears' greasing done?", "words") == 0
    assert first(opened, indexes, "När smörjer man landningsställen?", "words") == 1


def test_runs_of_letters_find_codes_names_and_halves_of_compounds(opened: TantivyWordIndex, indexes: TantivyIndexes) -> None:
    assert first(opened, indexes, "kf-7731", "grams") == 2
    assert first(opened, indexes, "åke öbergs", "grams") == 4
    assert first(opened, indexes, "semesterlag", "grams") == 3


def test_stop_words_alone_ask_for_nothing(opened: TantivyWordIndex, indexes: TantivyIndexes) -> None:
    assert indexes.terms("how many is the vad är det").words == ()
    assert opened.search(indexes.terms("the och is"), "words", 5) == []


def test_only_allowed_rows_are_found(opened: TantivyWordIndex, indexes: TantivyIndexes) -> None:
    terms = indexes.terms("hundred hours filters semester loans")
    everything = dict(opened.search(terms, "words", 5))
    assert len(everything) == 4
    assert dict(opened.search(terms, "words", 5, allowed=[2, 4])) == pytest.approx({2: everything[2], 4: everything[4]})
    assert opened.search(terms, "words", 5, allowed=[]) == []


def test_frequencies_count_rows(opened: TantivyWordIndex, indexes: TantivyIndexes) -> None:
    (stem,) = indexes.terms("semester").words
    assert opened.frequencies([stem, "nowhere"], "words") == {stem: 1, "nowhere": 0}


def test_no_text_is_a_query_language_and_none_is_too_long(opened: TantivyWordIndex, indexes: TantivyIndexes) -> None:
    for text in (
        'words:"x" AND (',
        "*",
        "row:[0 TO 9]",
        "\0",
        "",
        "a" * 100_000,
        " ".join(f"word{number}" for number in range(QUERY_TERMS_MAX * 3)),
    ):
        for field in ("words", "grams"):
            opened.search(indexes.terms(text), field, 5)


def test_empty_and_missing_indexes(indexes: TantivyIndexes, tmp_path: Path) -> None:
    indexes.build(tmp_path, [])
    assert indexes.open(tmp_path).search(indexes.terms("hello"), "words", 3) == []
    (tmp_path / "meta.json").write_text("{")
    with pytest.raises(OSError, match="index of words"):
        indexes.open(tmp_path)
    with pytest.raises(OSError, match="index of words"):
        indexes.open(tmp_path / "nowhere")
