"""Places outside from which files and tables may be fetched: a steward allows each of them, for one volume."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from insjo.access.types import Clearance, Level, Privilege
from insjo.ingest import store
from insjo.ingest.errors import LoadNotFound, LocationExists, LocationInvalid, LocationNotFound, LocationUnreachable
from insjo.ingest.types import Location
from insjo.kernel.context import system_context
from insjo.kernel.errors import NotFound, did_you_mean
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from insjo.access.service.facade import Access
    from insjo.access.types import Cleared
    from insjo.catalog.service.room import CatalogRoom
    from insjo.ingest.ports import RemoteSource
    from insjo.ingest.types import Fetched
    from insjo.jobs.ports import RunContext
    from insjo.jobs.service import Jobs
    from insjo.jobs.types import Run
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database

    ReadSecret = Callable[[RequestContext, str, str], bytes]

KIND = "ingest.fetch"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_FILE_NAME = re.compile(r"[^\w.+-]+")


def destination_of(name: str) -> str:
    """Name of a location among all destinations."""
    return f"location:{name}"


class Locations:
    """Allows, lists and fetches.

    Args:
        database: The metadata database.
        clock: Tells the time.
        access: Decides; managing the metastore makes a steward.
        catalog: Volumes and files.
        jobs: Keeps and does the runs.
        sources: What reads from each scheme.
        read_secret: Gives the value of a secret.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        access: Access,
        catalog: CatalogRoom,
        jobs: Jobs,
        sources: Mapping[str, RemoteSource],
        read_secret: ReadSecret,
    ) -> None:
        self._database = database
        self._clock = clock
        self._access = access
        self._catalog = catalog
        self._jobs = jobs
        self._sources = dict(sources)
        self._read_secret = read_secret
        jobs.register(KIND, self._do, resumable=True)

    def create(
        self, ctx: RequestContext, name: str, url: str, volume: str, *, secret: str = "", private: bool = False, comment: str = ""
    ) -> Location:
        """Allow a place; stewards only.  Without a volume stewards alone may fetch, and name one each time.

        Raises:
            AccessDenied, LocationInvalid, LocationExists, VolumeNotFound: As they say.
        """
        self._steward(ctx)
        name = name.lower()
        if not _NAME.fullmatch(name):
            message = f"`{name[:100]}` is not a name for a location."
            raise LocationInvalid(message, hint="Use letters, digits, `-` and `_`.")
        self._check(url, secret)
        found = self._catalog.volumes.get(ctx, volume.lower()) if volume else None
        place = (found.full_name, found.id) if found else ("", "")
        made = Location(new_id(), name, url, *place, secret, private, comment[:2000], self._clock.now(), ctx.principal.name)
        with self._database.write() as connection:
            if store.fetch(connection, name) is not None:
                message = f"The location `{name}` exists already."
                raise LocationExists(message)
            store.insert(connection, {each: getattr(made, each) for each in Location.__dataclass_fields__})
            # What people ask for is sent there, and may be as sensitive as what they type, unless somebody clears more.
            clearance = Clearance(destination_of(name), level=Level.INTERNAL, zone="any")
            self._access.clearances.set(system_context(), clearance, connection=connection)
            self._access.audit.record(
                ctx,
                "location.create",
                outcome="changed",
                object=name,
                securable_id=made.volume_id or None,
                reason=url,
                connection=connection,
            )
        return made

    def update(
        self, ctx: RequestContext, name: str, *, url: str | None = None, secret: str | None = None, comment: str | None = None
    ) -> Location:
        """Change a place; stewards only.  Another address is another destination, which is cleared anew."""
        self._steward(ctx)
        name = name.lower()
        with self._database.write() as connection:
            present = store.fetch(connection, name)
            if present is None:
                raise self._missing(ctx, name)
            self._check(present.url if url is None else url, present.secret if secret is None else secret)
            given = {"url": url, "secret": secret, "comment": None if comment is None else comment[:2000]}
            values = {key: value for key, value in given.items() if value is not None}
            if values:
                store.update(connection, name, values)
            if url is not None and url != present.url:
                clearance = Clearance(destination_of(name), level=Level.INTERNAL, zone="any")
                self._access.clearances.set(system_context(), clearance, connection=connection)
            reason = f"{url or present.url} {' '.join(sorted(values))}"
            self._access.audit.record(ctx, "location.update", outcome="changed", object=name, reason=reason, connection=connection)
        return self.get(ctx, name)

    def delete(self, ctx: RequestContext, name: str) -> None:
        """Allow a place no longer; stewards only."""
        self._steward(ctx)
        with self._database.write() as connection:
            if not store.delete(connection, name.lower()):
                raise self._missing(ctx, name)
            self._access.clearances.remove(system_context(), destination_of(name.lower()), connection=connection)
            self._access.audit.record(ctx, "location.delete", outcome="changed", object=name.lower(), connection=connection)

    def list(self, ctx: RequestContext) -> tuple[Location, ...]:
        """Locations into whose volumes the caller may write; to stewards also those without one."""
        with self._database.read() as connection:
            found = store.list_all(connection)
        metastore = self._access.securables.metastore().id
        asked = [(Privilege.WRITE_VOLUME, each.volume_id) if each.volume else (Privilege.MANAGE, metastore) for each in found]
        decisions = self._access.authority.decide_many(ctx, asked)
        return tuple(each for each, decision in zip(found, decisions, strict=True) if decision.allowed)

    def get(self, ctx: RequestContext, name: str) -> Location:
        """A location that the caller may use."""
        found = next((each for each in self.list(ctx) if each.name == name.lower()), None)
        if found is None:
            raise self._missing(ctx, name)
        return found

    def fetch(self, ctx: RequestContext, name: str, what: str, volume: str = "") -> Run:
        """Fetch a file or a table into the volume, in the background; the run's result tells the path and, for tables, the types.

        Args:
            volume: For a location that has none.
        """
        found = self.get(ctx, name)
        if bool(volume) == bool(found.volume):
            message = f"The location `{found.name}` {'has a volume of its own' if volume else 'has no volume'}."
            raise LocationInvalid(message, hint="Leave the volume out." if volume else "Name the volume into which to fetch.")
        into = self._catalog.volumes.get(ctx, volume.lower()) if volume else None
        if into is not None:
            self._access.authority.authorize(ctx, Privilege.WRITE_VOLUME, into.id)
        if not what or len(what) > 2000:  # noqa: PLR2004  # As long as an address may be.
            message = "Say what to fetch: a path below the location, or the name of a table."
            raise LocationInvalid(message)
        self._cleared(ctx, found, what)
        title = f"Fetch {what} from {found.name}"
        payload = {"location": found.name, "what": what, "volume": into.full_name if into else found.volume}
        return self._jobs.submit(ctx, KIND, payload, title=title, securable_id=into.id if into else found.volume_id)

    def fetched(self, ctx: RequestContext, run_id: str) -> Run:
        """A fetch as it stands."""
        run = self._jobs.get(ctx, run_id)
        if run.kind != KIND:
            message = f"The fetch `{run_id[:64]}` does not exist."
            raise LoadNotFound(message)
        return run

    def _steward(self, ctx: RequestContext) -> None:
        """Refuse those who do not manage the metastore."""
        self._access.authority.authorize(ctx, Privilege.MANAGE, self._access.securables.metastore().id)

    def _missing(self, ctx: RequestContext, name: str) -> LocationNotFound:
        message = f"There is no location `{name[:100]}`."
        return LocationNotFound(message, hint=did_you_mean(name, (each.name for each in self.list(ctx))))

    def _check(self, url: str, secret: str) -> None:
        """An address that a source reads from, without anything that does not belong there."""
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            message = f"`{url[:200]}` is not an address."
            raise LocationInvalid(message) from error
        if parts.scheme not in self._sources:
            message = f"Nothing is read from addresses like `{parts.scheme}://`."
            raise LocationInvalid(message, hint=f"Use {', '.join(sorted(self._sources))}.")
        database = parts.scheme in {"postgresql", "mysql"}
        if parts.password is not None or (parts.username and not database and parts.scheme not in {"abfss", "abfs"}):
            message = "The address holds a password."
            raise LocationInvalid(message, hint="Put it into a secret, and name that as `scope/key`.")
        if (parts.query and not database) or parts.fragment or not url.isprintable() or " " in url or ".." in parts.path.split("/"):
            message = "The address of a location is a plain prefix."
            raise LocationInvalid(message, hint="For example `https://data.example.org/public/`.")
        if secret and len([part for part in secret.split("/") if part]) != 2:  # noqa: PLR2004  # Scope and key.
            message = f"`{secret[:100]}` is not the name of a secret."
            raise LocationInvalid(message, hint="Write `scope/key`.")

    def _do(self, run: RunContext) -> Mapping[str, object]:
        """Body of a run."""
        found = self.get(run.ctx, str(run.payload["location"]))
        what = str(run.payload["what"])
        asked = self._cleared(run.ctx, found, what)
        fetched = self._sources[urlsplit(found.url).scheme].open(found.url, asked.content, self._secret(found), private=found.private)
        name = _FILE_NAME.sub("_", fetched.name).strip(".")[-200:] or "file"
        volume = found.volume or str(run.payload.get("volume", ""))
        path = f"/Volumes/{volume.replace('.', '/')}/{found.name}/{name}"
        entry = self._catalog.files.write(run.ctx, path, _counted(run, fetched), overwrite=True)
        self._access.audit.record(
            run.ctx, "location.fetch", outcome="allowed", object=path, securable_id=found.volume_id or None, reason=what[:500]
        )
        return {"path": path, "size_bytes": entry.size_bytes, "types": dict(fetched.types)}

    def _cleared(self, ctx: RequestContext, found: Location, what: str) -> Cleared[str]:
        """The name of a file or table, which leaves for the place; raises FlowBlocked when it holds what must not."""
        destination = destination_of(found.name)
        provenance = self._access.fingerprints.label_text(unquote(what))
        return self._access.flows.clear(ctx, what, provenance, self._access.clearances.get(destination), "fetch")

    def _secret(self, found: Location) -> str:
        """The secret of a location: it was named by a steward, and whoever fetches never sees it."""
        if not found.secret:
            return ""
        scope, _, key = found.secret.partition("/")
        try:
            return self._read_secret(system_context(), scope, key).decode()
        except NotFound as error:
            message = f"The secret of the location `{found.name}` is gone."
            raise LocationUnreachable(message, hint="A steward puts it again.") from error


def _counted(run: RunContext, fetched: Fetched) -> Iterator[bytes]:
    """The content, with progress; stops when the run is to stop."""
    done = 0
    for chunk in fetched.chunks:
        run.check()
        done += len(chunk)
        run.progress(done, max(fetched.size_bytes, done), "Fetching")
        yield chunk
