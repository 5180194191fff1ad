"""A server whose tables and files lie in an object store: what it said stands is there after a kill, and without any local copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.raw import Raw
from tests.support.server import RunningServer
from tests.support.stores import Store, s3


def settings(store: Store, folder: Path) -> dict[str, str]:
    credentials = folder / "storage.toml"
    credentials.touch(mode=0o600)
    credentials.write_text("".join(f'{key} = "{value}"\n' for key, value in store.options.items()), encoding="utf-8")
    return {"INSJO_STORAGE": f"{store.url}/lake", "INSJO_STORAGE_CREDENTIALS": str(credentials), "INSJO_LOCAL_MODELS": "false"}


def test_a_killed_server_finds_its_tables_and_files_again(start_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    with s3() as store:
        server = start_server(environment=settings(store, tmp_path))
        raw = Raw(server, server.token("admin"))
        for text in (
            "CREATE SCHEMA main.shop",
            "CREATE VOLUME main.shop.files",
            "CREATE TABLE main.shop.orders AS SELECT id, id * 2 AS amount FROM range(1000)",
            "UPDATE main.shop.orders SET amount = 0 WHERE id < 10",
        ):
            assert raw.sql(text)["status"]["state"] == "SUCCEEDED"
        server.kill9()
        for folder in (*(server.data_dir / "tables").iterdir(), *(server.data_dir / "volumes").iterdir()):
            shutil.rmtree(folder)  # Another machine, with the same metadata and nothing else.
        server.start()
        raw = Raw(server, server.token("admin"))
        found = raw.sql("SELECT count(*), sum(amount) FROM main.shop.orders")
        assert found["result"]["data_array"] == [["1000", str(sum(2 * each for each in range(10, 1000)))]]
        assert server.process is not None
        assert "tester" not in Path(f"/proc/{server.process.pid}/environ").read_text(encoding="utf-8", errors="replace")
