"""Files that come with a message: checked, read by the parser of documents, bounded, and labelled by what is in them."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from insjo.agents.errors import AttachmentInvalid
from insjo.agents.service.conversations import one_line
from insjo.agents.types import AttachedText
from insjo.retrieval.types import BlockKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.access.service.facade import Access
    from insjo.kernel.threads import Threads
    from insjo.retrieval.ports import DocumentParser
    from insjo.retrieval.types import ParsedDocument

FILES_MAX: Final = 10
FILE_BYTES_MAX: Final = 50_000_000
"""Largest attached file; the page refuses larger ones too."""

TEXT_CHARS_MAX: Final = 400_000
"""Most text of one file; the rest is not read."""

NAME_CHARS_MAX: Final = 200
AT_ONCE: Final = 2
"""Files that are read at the same time; the others wait without holding a thread."""


class Attachments:
    """Reads attached files."""

    def __init__(self, *, access: Access, parser: DocumentParser, threads: Threads) -> None:
        """Read with this parser."""
        self._access = access
        self._parser = parser
        self._threads = threads
        self._turn = asyncio.Semaphore(AT_ONCE)

    def check(self, files: Sequence[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
        """The files under plain names.

        Raises:
            AttachmentInvalid: There are too many, or one is too large, empty or of a kind that cannot be read.
        """
        if len(files) > FILES_MAX:
            raise AttachmentInvalid(f"A message has at most {FILES_MAX} files, and this one has {len(files)}.")
        found = []
        for given, content in files:
            name = one_line(PurePosixPath(given.replace("\\", "/")).name)[-NAME_CHARS_MAX:]
            if not name:
                raise AttachmentInvalid("An attached file has no name.")
            if PurePosixPath(name).suffix.lower() not in self._parser.suffixes():
                raise AttachmentInvalid(
                    f"`{name}` cannot be read as a document.", hint="Attach PDF, DOCX, HTML, Markdown or plain text; load tables as data."
                )
            if not content:
                raise AttachmentInvalid(f"`{name}` is empty.")
            if len(content) > FILE_BYTES_MAX:
                raise AttachmentInvalid(
                    f"`{name}` is larger than {FILE_BYTES_MAX // 1_000_000} MB.", hint="Upload it to a volume and index it instead."
                )
            found.append((name, content))
        return tuple(found)

    async def read(self, name: str, content: bytes) -> tuple[AttachedText, bool]:
        """The text of a file with its label, and whether it is all of it.

        Raises:
            DocumentUnreadable, DocumentEmpty, DocumentTooHeavy, ParserLost: As they say.
        """
        async with self._turn:
            return await self._threads.run(self._read, name, content)

    def _read(self, name: str, content: bytes) -> tuple[AttachedText, bool]:
        suffix = PurePosixPath(name).suffix.lower()
        with tempfile.NamedTemporaryFile(prefix="insjo-attached-", suffix=suffix) as file:
            file.write(content)
            file.flush()
            text = text_of(self._parser.parse(file.name, name))
        kept = text[:TEXT_CHARS_MAX]
        # The whole text is judged: what was cut off may be what tells where it comes from.
        return AttachedText(name, kept, self._access.fingerprints.label_text(text)), len(kept) == len(text)


def text_of(document: ParsedDocument) -> str:
    """A document as one text, its headings as Markdown's."""
    return "\n\n".join(
        f"{'#' * min(max(each.level, 1), 6)} {each.text}" if each.kind is BlockKind.HEADING else each.text for each in document.blocks
    )
