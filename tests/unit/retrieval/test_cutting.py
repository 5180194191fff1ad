from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from insjo.retrieval.cutting import WORDS_MAX, cut, sentences
from insjo.retrieval.types import Block, BlockKind, ParsedDocument


def document(*blocks: Block) -> ParsedDocument:
    return ParsedDocument("T", blocks)


def heading(text: str, level: int = 1) -> Block:
    return Block(BlockKind.HEADING, text, level=level)


def prose(words: int, *, page: int = 0, word: str = "word") -> Block:
    lines = [f"{word.capitalize()} {number} " + f"{word} " * 13 + "end." for number in range(words // 16)]
    return Block(BlockKind.TEXT, " ".join(lines), page=page)


def test_sentences_end_where_readers_think_so() -> None:
    text = 'Staff, e.g. pilots, meet kl. 9 on Monday. Dr. Berg says: "Yes." Nr. 5 costs 13.8 kronor! Är det dyrt? Ja.'
    assert sentences(text) == [
        "Staff, e.g. pilots, meet kl. 9 on Monday.",
        'Dr. Berg says: "Yes."',
        "Nr. 5 costs 13.8 kronor!",
        "Är det dyrt?",
        "Ja.",
    ]


def test_a_long_section_becomes_passages_of_whole_sentences_that_overlap() -> None:
    passages = cut(document(heading("Long"), prose(800)))
    assert len(passages) >= 4
    for each in passages:
        assert len(each.text.split()) <= WORDS_MAX
        assert each.text.startswith("Word ")
        assert each.text.endswith("end.")
        assert each.heading == "Long"
    for one, other in itertools.pairwise(passages):
        assert other.text.split("\n")[0].split(" end.")[0] in one.text
    assert [each.position for each in passages] == list(range(len(passages)))


def test_sections_are_not_mixed_when_each_can_stand_alone() -> None:
    passages = cut(
        document(heading("A"), prose(64, word="alpha"), heading("B", 2), prose(64, word="beta"), heading("C"), prose(64, word="gamma"))
    )
    assert [each.heading for each in passages] == ["A", "A › B", "C"]
    assert "beta" not in passages[0].text


def test_stumps_are_joined_and_their_headings_kept_as_text() -> None:
    short = Block(BlockKind.TEXT, "Open until five.")
    passages = cut(document(heading("House"), heading("Library", 2), short, heading("Kitchen", 2), short))
    assert len(passages) == 1
    assert passages[0].heading == "House"
    assert "Kitchen:" in passages[0].text


def test_a_passage_carries_the_page_on_which_it_begins() -> None:
    passages = cut(document(prose(160, page=3), heading("Next"), prose(160, page=4)))
    assert [each.page for each in passages] == [3, 4]


def test_lines_of_tables_and_code_stay_lines() -> None:
    passages = cut(document(Block(BlockKind.TABLE, "Part | Price\nWheel; Price: 3.\nValve; Price: 4.")))
    assert passages[0].text == "Part | Price\nWheel; Price: 3.\nValve; Price: 4."


def test_nothing_gives_nothing() -> None:
    assert cut(document()) == ()
    assert cut(document(heading("Only a heading"))) == ()


@given(
    st.lists(
        st.tuples(st.sampled_from(list(BlockKind)), st.text(min_size=1, max_size=3000).filter(str.strip), st.integers(1, 6)), max_size=12
    )
)
def test_no_word_of_text_is_lost_and_no_passage_is_too_long(blocks: list[tuple[BlockKind, str, int]]) -> None:
    made = document(*(Block(kind, text, level if kind is BlockKind.HEADING else 0) for kind, text, level in blocks))
    passages = cut(made)
    kept = set(" ".join(each.text for each in passages).split())
    for block in made.blocks:
        if block.kind is not BlockKind.HEADING:
            assert set(block.text.split()) <= kept
    assert all(len(each.text.split()) <= WORDS_MAX + 60 for each in passages)
