"""One passage with what stands around it: the page behind a citation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.types import Privilege, SecurableKind
from insjo.retrieval import store
from insjo.retrieval.errors import PassageNotFound
from insjo.retrieval.service.search import provenance_of_row
from insjo.retrieval.service.table import PassageTable
from insjo.retrieval.types import PassagePage

if TYPE_CHECKING:
    from insjo.kernel.context import RequestContext
    from insjo.retrieval.service.derived import Derived, PassageRow, VolumeFiles
    from insjo.retrieval.service.parts import Parts


class Passages:
    """Passages by their identifier."""

    def __init__(self, parts: Parts, derived: Derived) -> None:
        self._parts = parts
        self._derived = derived

    def get(self, ctx: RequestContext, index: str, passage_id: str) -> PassagePage:
        """A passage with its neighbours; needs SELECT on the index and READ VOLUME on the document's volume.

        Raises:
            PassageNotFound: It is gone, or the caller may not read it.
        """
        securable = self._parts.access.securables.resolve(ctx, SecurableKind.INDEX, index, Privilege.SELECT)
        with self._parts.database.read() as connection:
            row = store.fetch_index(connection, securable.id)
            volume_ids = store.fetch_volumes(connection, securable.id, self._parts.readable_volumes(ctx))
        if row is not None and row["version"] >= 0:
            folder = self._parts.folder(securable.id)
            snapshot = PassageTable(self._parts.storage, folder / "passages").snapshot(int(row["version"]))
            for volume_id in volume_ids:
                volume = self._derived.volume(folder / "derived", snapshot, volume_id)
                number = volume.find(passage_id)
                if number is not None:
                    return self._page(ctx, securable.full_name, volume, number)
        raise PassageNotFound("There is no such passage.", hint="The document may have changed since it was cited: search again.")

    def _page(self, ctx: RequestContext, index: str, volume: VolumeFiles, number: int) -> PassagePage:
        """The passage and its neighbours."""
        row = volume.row(number)
        before, after = _neighbour(volume, number - 1, row, -1), _neighbour(volume, number + 1, row, 1)
        return PassagePage(
            index=index,
            passage_id=row.passage_id,
            path=row.path,
            title=row.title,
            page=row.page,
            position=row.position,
            heading=row.heading,
            text=row.text,
            before=before.text if before else "",
            after=after.text if after else "",
            provenance=provenance_of_row(row, self._parts.catalog.files.label(ctx, row.path), volume.volume_id),
            previous_id=before.passage_id if before else "",
            next_id=after.passage_id if after else "",
        )


def _neighbour(volume: VolumeFiles, number: int, row: PassageRow, step: int) -> PassageRow | None:
    """The row beside, if it is the passage beside in the same document; passages of a document lie one after the other."""
    if not 0 <= number < volume.rows:
        return None
    other = volume.row(number)
    return other if other.path == row.path and other.position == row.position + step else None
