from __future__ import annotations

import contextlib
import io
import os
import zipfile
from pathlib import Path

import pytest

from insjo.adapters.documents.parser import SUFFIXES, BoundedParser
from insjo.adapters.documents.worker import READERS
from insjo.retrieval.errors import DocumentEmpty, DocumentTooHeavy, DocumentUnreadable, DocumentUnsupported
from insjo.retrieval.types import Block, BlockKind, ParsedDocument
from tests.support import documents as samples

TABLE = (("Part", "Price", "Stock"), ("Wheel", "1200", "7"), ("Valve", "340", "0"))


@pytest.fixture(scope="module")
def parser() -> BoundedParser:
    return BoundedParser()


def parse(parser: BoundedParser, folder: Path, name: str, content: bytes) -> ParsedDocument:
    path = folder / "content"
    path.write_bytes(content)
    return parser.parse(str(path), name)


def text_of(document: ParsedDocument) -> str:
    return "\n".join(block.text for block in document.blocks)


def headings(document: ParsedDocument) -> list[str]:
    return [block.text for block in document.blocks if block.kind is BlockKind.HEADING]


def test_parent_and_child_know_the_same_kinds() -> None:
    assert set(READERS) == SUFFIXES


def test_pdf_has_pages_headings_and_no_page_numbers(parser: BoundedParser, tmp_path: Path) -> None:
    found = parse(parser, tmp_path, "Handbook.PDF", samples.pdf_of(samples.HANDBOOK, title="Staff handbook"))
    assert (found.title, found.pages) == ("Staff handbook", 4)
    assert headings(found) == [section.heading for section in samples.HANDBOOK]
    assert [block.page for block in found.blocks if block.text.startswith("Passwords")] == [3]
    assert "Page 2" not in text_of(found)
    for section in samples.HANDBOOK:
        for paragraph in section.paragraphs:
            assert paragraph in text_of(found)


def test_docx_has_headings_and_tables_whose_rows_make_sense_alone(parser: BoundedParser, tmp_path: Path) -> None:
    found = parse(parser, tmp_path, "m.docx", samples.docx_of(samples.MAINTENANCE, table=TABLE))
    assert headings(found) == ["Landningsställ", "Motorer", "Avisning"]
    table = next(block.text for block in found.blocks if block.kind is BlockKind.TABLE)
    assert "Valve; Price: 340; Stock: 0." in table
    assert samples.MAINTENANCE[0].paragraphs[0] in text_of(found)


def test_html_shows_what_a_reader_sees(parser: BoundedParser, tmp_path: Path) -> None:
    found = parse(parser, tmp_path, "n.html", samples.html_of(samples.NETWORK))
    assert found.title == "Network"
    assert headings(found) == ["Backup", "Certificates", "On-call duty"]
    for hidden in ("secretScript", "alert", "hiddenCanary", "Kontakt"):
        assert hidden not in text_of(found)
    table = parse(parser, tmp_path, "t.htm", b"<table><tr><th>Part<th>Price</tr><tr><td>Wheel<td>12<script>x</script></tr></table>")
    assert table.blocks[0].text.splitlines()[1] == "Wheel; Price: 12."


def test_html_obeys_its_declared_encoding(parser: BoundedParser, tmp_path: Path) -> None:
    content = "<meta charset='iso-8859-1'><p>Åäö</p>".encode("iso-8859-1")
    assert text_of(parse(parser, tmp_path, "a.html", content)) == "Åäö"


def test_markdown_keeps_headings_and_words_and_drops_marks(parser: BoundedParser, tmp_path: Path) -> None:
    content = (
        b"---\nsecret: front\n---\n# Top\n\nSome **bold** and `code` with a [link](https://example.org).\n\nSub\n---\n"
        b"- first\n- second\n\n| A | B |\n|---|---|\n| 1 | 2 |\n\n```sql\nSELECT a\nFROM b_c\n```\n<!-- gone -->\n![picture](x.png)\n"
    )
    found = parse(parser, tmp_path, "r.md", content)
    assert [(block.text, block.level) for block in found.blocks if block.kind is BlockKind.HEADING] == [("Top", 1), ("Sub", 2)]
    texts = [block.text for block in found.blocks]
    assert "Some bold and code with a link." in texts
    assert {"first", "second", "SELECT a\nFROM b_c", "picture", "A | B\n1; B: 2."} <= set(texts)
    assert "front" not in text_of(found)
    assert "gone" not in text_of(found)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_text_of_every_usual_encoding_is_read(parser: BoundedParser, tmp_path: Path, encoding: str) -> None:
    found = parse(parser, tmp_path, "a.txt", samples.NOTES.encode(encoding))
    assert headings(found) == ["Notes from the archive"]
    assert "Åke Öberg on floor three" in text_of(found)


def zipped(**members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return target.getvalue()


def encrypted_pdf() -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    target = io.BytesIO()
    canvas = Canvas(target, encrypt="password")
    canvas.drawString(100, 100, "secret")
    canvas.save()
    return target.getvalue()


def scanned_pdf() -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    target = io.BytesIO()
    canvas = Canvas(target)
    canvas.rect(10, 10, 300, 300, fill=1)
    canvas.save()
    return target.getvalue()


HOSTILE = {
    "random.pdf": (os.urandom(5000), DocumentUnreadable),
    "cut.pdf": (b"%PDF-1.7\n" + os.urandom(3000), DocumentUnreadable),
    "locked.pdf": (encrypted_pdf(), DocumentUnreadable),
    "scan.pdf": (scanned_pdf(), DocumentEmpty),
    "random.docx": (os.urandom(5000), DocumentUnreadable),
    "other-zip.docx": (zipped(readme=b"hello"), DocumentUnreadable),
    "broken.docx": (zipped(word__document_xml=b"<w:document"), DocumentUnreadable),
    "old.docx": (b"\xd0\xcf\x11\xe0" + b"\0" * 500, DocumentUnreadable),
    "bomb.docx": (zipped(word__document_xml=b"\0" * (450 * 1024**2)), DocumentTooHeavy),
    "binary.txt": (bytes(range(256)) * 50, DocumentUnreadable),
    "picture.md": (b"\x89PNG\r\n\x1a\n" + os.urandom(4000), DocumentUnreadable),
    "half.txt": ("åäö".encode("utf-16") + b"\xd8", DocumentUnreadable),
    "empty.txt": (b"", DocumentEmpty),
    "blank.html": (b"   ", DocumentEmpty),
    "scripts.html": (b"<script>while(1);</script>", DocumentEmpty),
    "huge.txt": (b"word " * 5_000_000, DocumentTooHeavy),
    "song.mp3": (b"ID3", DocumentUnsupported),
    "noend": (b"text", DocumentUnsupported),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_what_cannot_be_read_is_told_with_its_name_and_the_next_document_is_read(parser: BoundedParser, tmp_path: Path, name: str) -> None:
    content, expected = HOSTILE[name]
    with pytest.raises(expected) as caught:
        parse(parser, tmp_path, name, content)
    assert f"`{name}`" in caught.value.message
    assert str(tmp_path) not in str(caught.value)


def test_deep_and_strange_pages_end_in_words_or_in_an_error_never_in_a_hang(parser: BoundedParser, tmp_path: Path) -> None:
    entity = b"<!DOCTYPE html [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>]><p>&b; visible</p>"
    for content in (b"<div>" * 200_000 + b"deep", b"<table>" * 5000 + b"x", entity, b"<p>" + b"\xff\xfe" * 999):
        with contextlib.suppress(DocumentEmpty, DocumentTooHeavy, DocumentUnreadable):
            assert parse(parser, tmp_path, "x.html", content).blocks


def test_a_reader_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    slow = BoundedParser(time_max_s=0.001)
    with pytest.raises(DocumentTooHeavy, match="took longer"):
        parse(slow, tmp_path, "a.txt", b"hello world " * 1_000_000)


def test_external_entities_are_never_fetched(parser: BoundedParser, tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("CANARY-IN-A-FILE")
    xml = (
        f"<!DOCTYPE d [<!ENTITY x SYSTEM 'file://{tmp_path}/canary'>]>"
        "<w:document xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'>"
        "<w:body><w:p><w:r><w:t>&x;</w:t></w:r></w:p></w:body></w:document>"
    )
    original = io.BytesIO(samples.docx_of(samples.LUNCH))
    target = io.BytesIO()
    with zipfile.ZipFile(original) as source, zipfile.ZipFile(target, "w") as sink:
        for entry in source.infolist():
            sink.writestr(entry, xml if entry.filename == "word/document.xml" else source.read(entry))
    try:
        found = parse(parser, tmp_path, "x.docx", target.getvalue())
    except (DocumentEmpty, DocumentUnreadable):
        return
    assert "CANARY" not in text_of(found)


def test_blocks_keep_their_shape_over_the_pipe(parser: BoundedParser, tmp_path: Path) -> None:
    found = parse(parser, tmp_path, "a.md", "# Ö\n\nå".encode())
    assert found.blocks == (Block(BlockKind.HEADING, "Ö", level=1), Block(BlockKind.TEXT, "å"))
