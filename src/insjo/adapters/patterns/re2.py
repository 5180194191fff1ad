"""Regular expressions of RE2, which Arrow carries: the time they take grows with the text alone, whatever the expression."""

from __future__ import annotations

from typing import Final

from insjo.gateway.errors import EndpointInvalid

MARKS: Final = ("\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3")
"""Code points that Unicode keeps out of texts for ever; two that do not stand in a text mark its matches."""

PATTERN_CHARS_MAX: Final = 1000


class Re2Patterns:
    """Port `Patterns`."""

    def check(self, pattern: str) -> None:
        """Refuse what RE2 does not understand, such as references backwards."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not pattern or len(pattern) > PATTERN_CHARS_MAX:
            message = f"A regular expression has between 1 and {PATTERN_CHARS_MAX} characters."
            raise EndpointInvalid(message)
        try:
            empty = pc.match_substring_regex(pa.array([""]), pattern=pattern)[0].as_py()
        except pa.ArrowInvalid as error:
            message = f"`{pattern[:100]}` is no regular expression of RE2."
            raise EndpointInvalid(message, hint=str(error)[:300]) from error
        if empty:
            message = f"`{pattern[:100]}` matches the empty text, and so everywhere."
            raise EndpointInvalid(message)

    def spans(self, pattern: str, text: str) -> list[tuple[int, int]]:
        """Where it matches, from left to right."""
        import pyarrow as pa
        import pyarrow.compute as pc

        begins, ends = [mark for mark in MARKS if mark not in text][:2] or ("", "")
        if not begins:
            return [(0, len(text))]  # Somebody hides matches on purpose.
        encoded = text.encode("utf-8", "replace").decode()
        marked = pc.replace_substring_regex(pa.array([encoded]), pattern=f"({pattern})", replacement=f"{begins}\\1{ends}")[0].as_py()
        found, at, begin = [], 0, 0
        for character in marked if begins in marked else "":
            if character == begins:
                begin = at
            elif character == ends:
                if at > begin:
                    found.append((begin, at))
            else:
                at += 1
        return found
