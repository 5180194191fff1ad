"""What the jobs room asks of those who do the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.kernel.context import RequestContext


class RunContext(Protocol):
    """What a handler is given."""

    @property
    def run_id(self) -> str:
        """Identifier of the run."""
        ...

    @property
    def ctx(self) -> RequestContext:
        """The one who asked for the work; rights are looked up live with it."""
        ...

    @property
    def payload(self) -> Mapping[str, object]:
        """What was submitted."""
        ...

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Tell how far the work is; cheap, so call it as often as there is something to tell."""
        ...

    def cancelled(self) -> bool:
        """Whether to stop: somebody cancelled the run, the server closes, or the run was given to another server."""
        ...

    def check(self) -> None:
        """Raise RunCancelled when the work is to stop."""
        ...


class Handler(Protocol):
    """Does one kind of work in a thread; what it returns is kept as the result of the run."""

    def __call__(self, run: RunContext, /) -> Mapping[str, object] | None:
        """Do the work; an InsjoError fails the run with its message, RunCancelled ends it as cancelled."""
        ...
