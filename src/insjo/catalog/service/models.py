"""Registered models: versions of files under governance, and the aliases that stand for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from insjo.access.errors import ModelNotFound
from insjo.access.types import Privilege, SecurableKind
from insjo.catalog import store
from insjo.catalog.errors import InvalidName, ModelAlreadyExists, ModelVersionFixed, ModelVersionNotFound
from insjo.catalog.service.parts import checked_comment, checked_name, checked_properties, refuse_reserved, split_schema
from insjo.catalog.types import NAME_PARTS, Folder, ModelVersion, RegisteredModel, VersionStatus
from insjo.kernel.errors import AlreadyExists, InvalidArgument
from insjo.kernel.ids import new_id
from insjo.kernel.limits import NAME_CHARS_MAX
from insjo.kernel.paging import Page, PageRequest, foreign_token, page_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

    from insjo.access.types import Label
    from insjo.catalog.service.parts import Parts
    from insjo.catalog.service.removals import Removals
    from insjo.kernel.context import RequestContext

SOURCE_CHARS_MAX: Final = 4_000

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")


class Models:
    """Creates, lists, changes and deletes registered models and their versions.

    Whoever holds EXECUTE reads a model's files; versions and aliases are made by its owner and whoever holds MANAGE.
    """

    def __init__(self, parts: Parts, removals: Removals) -> None:
        self._parts = parts
        self._removals = removals

    # -------------------------------------------------------------------------------------------------------------- models

    def create(self, ctx: RequestContext, full_name: str, comment: str = "", tags: Mapping[str, str] | None = None) -> RegisteredModel:
        """New model without versions, named `catalog.schema.name`; needs CREATE MODEL on the schema.

        Raises:
            ModelAlreadyExists, InvalidName, AccessDenied: As they say.
        """
        parts = self._parts
        catalog, schema, name = split_model(full_name)
        name = checked_name("model", name)
        parent = parts.resolve(ctx, SecurableKind.SCHEMA, f"{catalog}.{schema}", Privilege.CREATE_MODEL)
        refuse_reserved(ctx, catalog, schema)
        full_name = f"{catalog}.{schema}.{name}"
        location = str(parts.volume_folder / new_id())
        values = {"comment": checked_comment(comment), "tags": checked_properties(tags or {}), "last_version": 0}
        try:
            with parts.database.write() as connection:
                found = parts.access.securables.register(ctx, SecurableKind.MODEL, full_name, parent.id, connection=connection)
                row = {"id": found.id, "schema_id": parent.id, "name": name, "location": location, **values, **parts.stamps(ctx)}
                store.insert(connection, store.models, row)
                parts.files.make_directory(location, "")
        except AlreadyExists as error:
            message = f"The model `{full_name}` exists already."
            raise ModelAlreadyExists(message, hint="Register a new version of it, or choose another name.") from error
        return self.get(ctx, full_name)

    def get(self, ctx: RequestContext, full_name: str, privilege: Privilege | None = None) -> RegisteredModel:
        """Model by name, if the caller may see it and holds the privilege."""
        securable = self._parts.resolve(ctx, SecurableKind.MODEL, ".".join(split_model(full_name)), privilege)
        with self._parts.database.read() as connection:
            row = store.fetch_model(connection, securable.id)
            aliases = store.aliases_of(connection, [securable.id])[securable.id]
        if row is None:  # Deleted between the two reads.
            message = f"The model `{full_name}` does not exist."
            raise ModelNotFound(message)
        return _model_of(row, aliases, self._parts.owner_names([securable.id])[securable.id])

    def list(self, ctx: RequestContext, catalog: str = "", schema: str = "", page: PageRequest | None = None) -> Page[RegisteredModel]:
        """Models that the caller may see, by full name; of one catalog and schema when they are named."""
        wanted = page or PageRequest()
        after = tuple(wanted.after().split(".")) if wanted.after() else ()
        if len(after) not in {0, NAME_PARTS}:
            raise foreign_token()
        if schema:
            self._parts.resolve(ctx, SecurableKind.SCHEMA, f"{catalog}.{schema}")
        elif catalog:
            self._parts.resolve(ctx, SecurableKind.CATALOG, catalog)
        with self._parts.database.read() as connection:
            visible = self._parts.visible(ctx, SecurableKind.MODEL)
            rows = store.list_models(connection, visible, (catalog.lower(), schema.lower()), after, wanted.size + 1)
            aliases = store.aliases_of(connection, [row["id"] for row in rows])
        owners = self._parts.owner_names(row["id"] for row in rows)
        found = [_model_of(row, aliases[row["id"]], owners[row["id"]]) for row in rows]
        return page_of(found, wanted.size, lambda each: each.full_name)

    def update(
        self,
        ctx: RequestContext,
        full_name: str,
        *,
        new_name: str | None = None,
        comment: str | None = None,
        owner: str | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> RegisteredModel:
        """Change what is given; a tag without value is taken away.  Needs ownership or MANAGE."""
        parts = self._parts
        model = self.get(ctx, full_name, Privilege.MANAGE)
        values: dict[str, object] = parts.touched(ctx)
        if comment is not None:
            values["comment"] = checked_comment(comment)
        if tags is not None:
            values["tags"] = _with_tags(model.tags, tags)
        current = model.full_name
        with parts.database.write() as connection:
            if new_name is not None and checked_name("model", new_name) != model.name:
                values["name"] = checked_name("model", new_name)
                current = f"{model.catalog}.{model.schema}.{values['name']}"
                with parts.unless_taken(ModelAlreadyExists, "model", current):
                    parts.access.securables.rename(ctx, model.id, current, connection=connection)
            store.update(connection, store.models, model.id, values)
            if owner is not None:
                parts.set_owner(ctx, model.id, owner, connection=connection)
            parts.changed(ctx, "model.update", current, model.id, connection=connection)
        return self.get(ctx, current)

    def delete(self, ctx: RequestContext, full_name: str) -> None:
        """Delete a model with all its versions; the files go after the metadata.  Needs ownership or MANAGE."""
        model = self.get(ctx, full_name, Privilege.MANAGE)
        with self._parts.database.write() as connection:
            row = store.fetch_model(connection, model.id)
            if row is not None:
                self._removals.remove_model(ctx, connection, row)
        self._removals.sweep_noted()

    # ------------------------------------------------------------------------------------------------------------ versions

    def create_version(
        self,
        ctx: RequestContext,
        full_name: str,
        *,
        source: str = "",
        run_id: str = "",
        logged_model_id: str = "",
        comment: str = "",
        tags: Mapping[str, str] | None = None,
        label: Label | None = None,
    ) -> ModelVersion:
        """A version whose files may now be written below its path; `finish` ends that.  Needs ownership or MANAGE.

        Args:
            ctx: Who registers it.
            full_name: The model.
            source: Where the files are taken from; told, never read.
            run_id: Run of the tracking server.
            logged_model_id: The tracking server's name of the model.
            comment: Description.
            tags: Free words.
            label: Of what it was computed from; the model's label rises to it before any file is there.
        """
        parts = self._parts
        model = self.get(ctx, full_name, Privilege.MANAGE)
        if len(source) > SOURCE_CHARS_MAX or len(run_id) > NAME_CHARS_MAX or len(logged_model_id) > NAME_CHARS_MAX:
            message = "The source or the run of this version is too long."
            raise InvalidArgument(message, hint=f"A source has at most {SOURCE_CHARS_MAX} characters, a run {NAME_CHARS_MAX}.")
        with parts.database.write() as connection:
            if label is not None:
                parts.access.labels.raise_derived(ctx, model.id, label, connection=connection)
            version = store.take_version(connection, model.id)
            values = {
                "model_id": model.id,
                "version": version,
                "status": VersionStatus.PENDING.value,
                "source": source,
                "run_id": run_id,
                "logged_model_id": logged_model_id,
                "comment": checked_comment(comment),
                "tags": checked_properties(tags or {}),
                **parts.stamps(ctx),
            }
            store.insert(connection, store.model_versions, values)
            parts.files.make_directory(model.location, str(version))
            parts.changed(ctx, "model.version.create", f"{model.full_name}/{version}", model.id, connection=connection)
        return self.version(ctx, model.full_name, version)

    def finish(self, ctx: RequestContext, full_name: str, version: int, *, failed: bool = False) -> ModelVersion:
        """The files are all there, and never change from now on.  Doing it again changes nothing.  Needs ownership or MANAGE.

        Raises:
            ModelVersionFixed: It is ready and cannot fail any more, or the other way round.
        """
        model = self.get(ctx, full_name, Privilege.MANAGE)
        status = VersionStatus.FAILED if failed else VersionStatus.READY
        with self._parts.database.write() as connection:
            row = _found(model, store.fetch_version(connection, model.id, version), version)
            if row["status"] not in {VersionStatus.PENDING, status}:
                raise _fixed(model, version)
            self._change(ctx, connection, model, version, {"status": status.value})
        return self.version(ctx, model.full_name, version)

    def version(self, ctx: RequestContext, full_name: str, version: int) -> ModelVersion:
        """One version of a model that the caller may see."""
        model = self.get(ctx, full_name)
        with self._parts.database.read() as connection:
            return _version_of(model, _found(model, store.fetch_version(connection, model.id, version), version))

    def by_alias(self, ctx: RequestContext, full_name: str, alias: str) -> ModelVersion:
        """The version for which an alias stands."""
        model = self.get(ctx, full_name)
        version = model.aliases.get(alias.lower())
        if version is None:
            message = f"The model `{model.full_name}` has no alias `{alias[:NAME_CHARS_MAX]}`."
            raise ModelVersionNotFound(message, hint=f"It has {', '.join(f'`{each}`' for each in model.aliases) or 'none'}.")
        return self.version(ctx, model.full_name, version)

    def versions(self, ctx: RequestContext, full_name: str, page: PageRequest | None = None) -> Page[ModelVersion]:
        """Versions of a model, the newest first."""
        wanted = page or PageRequest()
        before = wanted.after_number()
        model = self.get(ctx, full_name)
        with self._parts.database.read() as connection:
            rows = store.list_versions(connection, model.id, before, wanted.size + 1)
        return page_of([_version_of(model, row) for row in rows], wanted.size, lambda each: str(each.version))

    def update_version(
        self,
        ctx: RequestContext,
        full_name: str,
        version: int,
        *,
        comment: str | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> ModelVersion:
        """Change the words about a version; a tag without value is taken away.  Needs ownership or MANAGE."""
        model = self.get(ctx, full_name, Privilege.MANAGE)
        with self._parts.database.write() as connection:
            row = _found(model, store.fetch_version(connection, model.id, version), version)
            values: dict[str, object] = {}
            if comment is not None:
                values["comment"] = checked_comment(comment)
            if tags is not None:
                values["tags"] = _with_tags(row["tags"], tags)
            self._change(ctx, connection, model, version, values)
        return self.version(ctx, model.full_name, version)

    def delete_version(self, ctx: RequestContext, full_name: str, version: int) -> None:
        """Delete a version, its aliases and its files; its number is never given again.  Needs ownership or MANAGE."""
        parts = self._parts
        model = self.get(ctx, full_name, Privilege.MANAGE)
        with parts.database.write() as connection:
            _found(model, store.fetch_version(connection, model.id, version), version)
            store.delete_version(connection, model.id, version)
            self._removals.note_folder(connection, new_id(), f"{model.location}/{version}")
            parts.changed(ctx, "model.version.delete", f"{model.full_name}/{version}", model.id, connection=connection)
        self._removals.sweep_noted()

    def set_alias(self, ctx: RequestContext, full_name: str, alias: str, version: int) -> RegisteredModel:
        """Let an alias stand for a version, whatever it stood for before.  Needs ownership or MANAGE."""
        parts = self._parts
        model = self.get(ctx, full_name, Privilege.MANAGE)
        alias = checked_name("alias", alias)
        if alias.isdigit() or alias == "latest":
            message = f"`{alias}` is no name for an alias."
            raise InvalidName(message, hint="Numbers name versions, and `latest` means the newest one.")
        with parts.database.write() as connection:
            _found(model, store.fetch_version(connection, model.id, version), version)
            store.put_alias(connection, model.id, alias, version)
            parts.changed(ctx, "model.alias.set", f"{model.full_name}@{alias}", model.id, connection=connection)
        return self.get(ctx, model.full_name)

    def delete_alias(self, ctx: RequestContext, full_name: str, alias: str) -> None:
        """Forget an alias; nothing changes when there was none.  Needs ownership or MANAGE."""
        model = self.get(ctx, full_name, Privilege.MANAGE)
        with self._parts.database.write() as connection:
            store.delete_alias(connection, model.id, alias.lower())
            self._parts.changed(ctx, "model.alias.delete", f"{model.full_name}@{alias.lower()}", model.id, connection=connection)

    def note_use(self, ctx: RequestContext, full_name: str, version: int) -> None:
        """Write down that a client loaded a version, as it says itself; needs EXECUTE."""
        model = self.get(ctx, full_name, Privilege.EXECUTE)
        with self._parts.database.read() as connection:
            _found(model, store.fetch_version(connection, model.id, version), version)
        name = f"{model.full_name}/{version}"
        self._parts.access.audit.record(ctx, "model.version.use", outcome="allowed", object=name, securable_id=model.id)

    def folder(self, ctx: RequestContext, full_name: str, inside: str, *, write: bool) -> Folder:
        """The place of a model's files; `inside` begins with the number of the version.

        Raises:
            ModelVersionFixed: Somebody wants to write beside the versions, or into one that is ready.
            ModelVersionNotFound: No such version.
        """
        model = self.get(ctx, full_name, Privilege.MANAGE if write else Privilege.EXECUTE)
        number, _, rest = inside.partition("/")
        if inside:
            with self._parts.database.read() as connection:
                row = _found(model, store.fetch_version(connection, model.id, _number(model, number)), number)
            if write and (row["status"] != VersionStatus.PENDING or not rest):
                raise _fixed(model, number)
        elif write:
            raise _fixed(model, "")
        return Folder(model.id, f"/Models/{model.full_name.replace('.', '/')}", model.location)

    def _change(
        self, ctx: RequestContext, connection: sa.Connection, model: RegisteredModel, version: int, values: Mapping[str, object]
    ) -> None:
        store.update_version(connection, model.id, version, {**values, **self._parts.touched(ctx)})
        self._parts.changed(ctx, "model.version.update", f"{model.full_name}/{version}", model.id, connection=connection)


def split_model(full_name: str) -> tuple[str, str, str]:
    """The three parts of a model's name, in lower case; raises InvalidName for anything else."""
    parts = full_name.lower().split(".")
    if len(parts) != NAME_PARTS or not all(parts):
        message = f"`{full_name[:SOURCE_CHARS_MAX]}` is not the full name of a model."
        raise InvalidName(message, hint="Write `catalog.schema.model`.")
    split_schema(f"{parts[0]}.{parts[1]}")
    return parts[0], parts[1], parts[2]


def _number(model: RegisteredModel, text: str) -> int:
    """The version that a part of a path names."""
    if not _NUMBER.fullmatch(text):
        raise _no_version(model, text)
    return int(text)


def _found(model: RegisteredModel, row: store.Row | None, version: object) -> store.Row:
    if row is None:
        raise _no_version(model, version)
    return row


def _no_version(model: RegisteredModel, version: object) -> ModelVersionNotFound:
    return ModelVersionNotFound(f"The model `{model.full_name}` has no version `{str(version)[:NAME_CHARS_MAX]}`.")


def _fixed(model: RegisteredModel, version: object) -> ModelVersionFixed:
    message = f"The files of `{model.full_name}/{version}` do not change."
    return ModelVersionFixed(message, hint="Register a new version; its files are written before it is ready.")


def _with_tags(before: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The tags after changes; one without value is taken away."""
    after = {key: value for key, value in {**before, **changes}.items() if value is not None}
    return checked_properties(after)


def _model_of(row: store.Row, aliases: Mapping[str, int], owner: str) -> RegisteredModel:
    """Model from its row."""
    return RegisteredModel(
        id=row["id"],
        catalog=row["catalog_name"],
        schema=row["schema_name"],
        name=row["name"],
        location=row["location"],
        comment=row["comment"],
        tags=row["tags"],
        aliases=aliases,
        owner=owner,
        created_at=row["created_at"],
        created_by=row["created_by"],
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
    )


def _version_of(model: RegisteredModel, row: store.Row) -> ModelVersion:
    """Version from its row."""
    return ModelVersion(
        model=model.full_name,
        model_id=model.id,
        version=row["version"],
        status=VersionStatus(row["status"]),
        source=row["source"],
        run_id=row["run_id"],
        logged_model_id=row["logged_model_id"],
        comment=row["comment"],
        tags=row["tags"],
        aliases=tuple(alias for alias, version in model.aliases.items() if version == row["version"]),
        location=f"{model.location}/{row['version']}",
        created_at=row["created_at"],
        created_by=row["created_by"],
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
    )
