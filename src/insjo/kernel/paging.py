"""Pages of lists: an opaque token that a client hands back."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Generic, TypeVar

from insjo.kernel.errors import InvalidArgument

T = TypeVar("T")

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1000


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page: at most `size` items after the one that `token` stands for."""

    size: int = PAGE_SIZE_DEFAULT
    token: str = ""

    @staticmethod
    def of(size: int | None, token: str | None) -> PageRequest:
        """Page request from what a client sent; 0 and None mean the default size (clients.md, wire quirks)."""
        if size is not None and size < 0:
            message = f"A page size must not be negative, and this one is {size}."
            raise InvalidArgument(message)
        return PageRequest(size=min(size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX), token=token or "")

    def after(self) -> str:
        """Sort key of the last item of the page before; empty on the first page."""
        if not self.token:
            return ""
        try:
            return base64.b64decode(self.token.encode(), altchars=b"-_", validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise foreign_token() from error

    def after_number(self) -> int | None:
        """As `after`, for lists that are sorted by a number; None on the first page."""
        after = self.after()
        if after and not (after.isascii() and after.isdigit()):
            raise foreign_token()
        return int(after) if after else None


def foreign_token() -> InvalidArgument:
    """The error for a token that no list of ours gave."""
    return InvalidArgument("The page token is not one of ours.", hint="Repeat the list call without it.")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; an empty `next_token` means that it is the last."""

    items: tuple[T, ...]
    next_token: str = ""


def page_token(sort_key: str) -> str:
    """Token for the page that begins after the item with this sort key."""
    return base64.urlsafe_b64encode(sort_key.encode()).decode()


def page_of(items: list[T], size: int, key_of: object) -> Page[T]:
    """Page from at most size+1 fetched items; `key_of(item)` gives the sort key."""
    if len(items) <= size:
        return Page(tuple(items))
    kept = items[:size]
    return Page(tuple(kept), page_token(str(key_of(kept[-1]))))  # type: ignore[operator]  # A callable; typed loosely to keep lambdas short.
