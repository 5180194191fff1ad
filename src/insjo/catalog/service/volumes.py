"""Volumes: folders of files under governance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.errors import VolumeNotFound
from insjo.access.types import Privilege, SecurableKind
from insjo.catalog import store
from insjo.catalog.errors import FeatureUnsupported, InvalidName, VolumeAlreadyExists
from insjo.catalog.service.parts import checked_comment, checked_name, refuse_reserved, split_schema, volume_of
from insjo.catalog.types import NAME_PARTS, VolumeType
from insjo.kernel.errors import AlreadyExists
from insjo.kernel.ids import new_id
from insjo.kernel.paging import Page, PageRequest, page_of

if TYPE_CHECKING:
    from insjo.catalog.service.parts import Parts
    from insjo.catalog.service.removals import Removals
    from insjo.catalog.types import Volume
    from insjo.kernel.context import RequestContext


class Volumes:
    """Creates, lists, changes and deletes volumes."""

    def __init__(self, parts: Parts, removals: Removals) -> None:
        self._parts = parts
        self._removals = removals

    def create(
        self,
        ctx: RequestContext,
        full_name: str,
        comment: str = "",
        volume_type: VolumeType = VolumeType.MANAGED,
        *,
        if_not_exists: bool = False,
    ) -> Volume:
        """New volume, named `catalog.schema.name`; needs CREATE VOLUME on the schema.

        Raises:
            VolumeAlreadyExists, InvalidName, AccessDenied: As they say.
            FeatureUnsupported: For an external volume.
        """
        parts = self._parts
        catalog, schema, name = _split(full_name)
        name = checked_name("volume", name)
        parent = parts.resolve(ctx, SecurableKind.SCHEMA, f"{catalog}.{schema}", Privilege.CREATE_VOLUME)
        refuse_reserved(ctx, catalog, schema)
        if volume_type is not VolumeType.MANAGED:
            message = "External volumes are not supported: files lie where Insjö keeps them."
            raise FeatureUnsupported(message, hint="Create a managed volume and upload the files.")
        full_name = f"{catalog}.{schema}.{name}"
        location = parts.volume_folder / new_id()
        try:
            with parts.database.write() as connection:
                securable = parts.access.securables.register(ctx, SecurableKind.VOLUME, full_name, parent.id, connection=connection)
                values = {
                    "id": securable.id,
                    "schema_id": parent.id,
                    "name": name,
                    "volume_type": volume_type.value,
                    "location": str(location),
                    "comment": checked_comment(comment),
                    **parts.stamps(ctx),
                }
                store.insert(connection, store.volumes, values)
                # An empty folder that a failed commit leaves behind harms nothing; a volume without its folder would.
                parts.files.make_directory(str(location), "")
        except AlreadyExists as error:
            if if_not_exists:
                return self.get(ctx, full_name)
            message = f"The volume `{full_name}` exists already."
            raise VolumeAlreadyExists(message) from error
        return self.get(ctx, full_name)

    def get(self, ctx: RequestContext, full_name: str, privilege: Privilege | None = None) -> Volume:
        """Volume by name, if the caller may see it and holds the privilege."""
        catalog, schema, name = _split(full_name)
        securable = self._parts.resolve(ctx, SecurableKind.VOLUME, f"{catalog}.{schema}.{name}", privilege)
        with self._parts.database.read() as connection:
            row = store.fetch_volume(connection, securable.id)
        if row is None:  # Deleted between the two reads.
            message = f"The volume `{full_name}` does not exist."
            raise VolumeNotFound(message)
        return volume_of(row, self._parts.owner_names([securable.id])[securable.id])

    def list(self, ctx: RequestContext, catalog: str, schema: str, page: PageRequest | None = None) -> Page[Volume]:
        """Volumes of a schema that the caller may see, by name."""
        wanted = page or PageRequest()
        parent = self._parts.resolve(ctx, SecurableKind.SCHEMA, f"{catalog}.{schema}")
        with self._parts.database.read() as connection:
            visible = self._parts.visible(ctx, SecurableKind.VOLUME)
            rows = store.list_volumes(connection, visible, parent.id, wanted.after(), wanted.size + 1)
        owners = self._parts.owner_names(row["id"] for row in rows)
        return page_of([volume_of(row, owners[row["id"]]) for row in rows], wanted.size, lambda each: each.name)

    def update(
        self,
        ctx: RequestContext,
        full_name: str,
        *,
        new_name: str | None = None,
        comment: str | None = None,
        owner: str | None = None,
    ) -> Volume:
        """Change what is given; `new_name` is the last part of the name.  Needs ownership or MANAGE."""
        parts = self._parts
        volume = self.get(ctx, full_name, Privilege.MANAGE)
        refuse_reserved(ctx, volume.catalog, volume.schema)
        values: dict[str, object] = parts.touched(ctx)
        if comment is not None:
            values["comment"] = checked_comment(comment)
        current = volume.full_name
        with parts.database.write() as connection:
            if new_name is not None and checked_name("volume", new_name) != volume.name:
                values["name"] = checked_name("volume", new_name)
                current = f"{volume.catalog}.{volume.schema}.{values['name']}"
                with parts.unless_taken(VolumeAlreadyExists, "volume", current):
                    parts.access.securables.rename(ctx, volume.id, current, connection=connection)
            store.update(connection, store.volumes, volume.id, values)
            if owner is not None:
                parts.set_owner(ctx, volume.id, owner, connection=connection)
            parts.changed(ctx, "volume.update", current, volume.id, connection=connection)
        return self.get(ctx, current)

    def delete(self, ctx: RequestContext, full_name: str) -> None:
        """Delete a volume with all its files; the files go after the metadata.  Needs ownership or MANAGE."""
        volume = self.get(ctx, full_name, Privilege.MANAGE)
        refuse_reserved(ctx, volume.catalog, volume.schema)
        with self._parts.database.write() as connection:
            row = store.fetch_volume(connection, volume.id)
            if row is not None:
                self._removals.remove_volume(ctx, connection, row)
        self._removals.sweep_noted()


def _split(full_name: str) -> tuple[str, str, str]:
    parts = full_name.lower().split(".")
    if len(parts) != NAME_PARTS or not all(parts):
        message = f"`{full_name}` is not the full name of a volume."
        raise InvalidName(message, hint="Write `catalog.schema.volume`.")
    split_schema(f"{parts[0]}.{parts[1]}")
    return parts[0], parts[1], parts[2]
