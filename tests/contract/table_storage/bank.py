"""A child process that moves money between the accounts of one table until it is killed; started by the tests of many writers.

Each transfer is one commit: it replaces the file of balances and adds a file with its own entry of the ledger.  It is right only if
nobody else committed since it read, so a storage that loses a race, or lets two win, breaks the sum or the ledger.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pyarrow as pa

from insjo.catalog.errors import CommitConflict
from insjo.catalog.ports import Commit
from insjo.catalog.types import Snapshot
from tests.support.lake import write_file
from tests.support.stores import Opened, Store, opened

ACCOUNTS = 8
START = 1000
COLUMNS = {"kind": pa.string(), "entry": pa.string(), "account": pa.int64(), "other": pa.int64(), "amount": pa.int64()}
"""Rows of kind `balance` have account and amount; rows of kind `entry` tell a transfer."""


def rows_of(rows: list[dict[str, object]]) -> pa.Table:
    """Rows as a data file holds them."""
    return pa.Table.from_pylist(rows, schema=pa.schema(list(COLUMNS.items())))


def balances(rows: list[dict[str, object]]) -> dict[int, int]:
    """What each account holds."""
    return {int(str(row["account"])): int(str(row["amount"])) for row in rows if row["kind"] == "balance"}


def balance_rows(amounts: dict[int, int]) -> list[dict[str, object]]:
    """The rows of a file of balances."""
    return [{"kind": "balance", "account": account, "amount": amount} for account, amount in sorted(amounts.items())]


def balance_file(snapshot: Snapshot) -> str:
    """The one file with the balances: it has as many rows as there are accounts."""
    (found,) = [file.path for file in snapshot.files if file.rows == ACCOUNTS]
    return found


def transfer(server: Opened, location: str, name: str, chance: random.Random, held: Snapshot | None) -> Snapshot:
    """One transfer, tried again until it wins; gives the snapshot that it was made from."""
    account, other = chance.sample(range(ACCOUNTS), 2)
    amount = chance.randrange(1, 50)
    while True:
        held = server.tables.snapshot(location, held=held)
        path = balance_file(held)
        old = [file for file in held.files if file.path == path]
        amounts = balances(server.read(one_file(held, path)))
        amounts[account] -= amount
        amounts[other] += amount
        entry = {"kind": "entry", "entry": name, "account": account, "other": other, "amount": amount}
        adds = [write_file(location, rows_of(balance_rows(amounts))), write_file(location, rows_of([entry]))]
        try:
            version = server.tables.commit(location, Commit(held.version, adds, old, "UPDATE", {"entry": name}, held=held))
        except CommitConflict:
            server.tables.discard(location, adds)
            continue
        server.tables.maintain(location, version)
        return held


def one_file(snapshot: Snapshot, path: str) -> Snapshot:
    """The snapshot with one of its files."""
    from dataclasses import replace

    return replace(snapshot, files=tuple(file for file in snapshot.files if file.path == path))


def main(store: Store, root: str, location: str, name: str) -> None:
    """Transfers without an end; each is told when it stands."""
    with opened(store, Path(root)) as server:
        chance, held, number = random.Random(name), None, 0
        while True:
            number += 1
            held = transfer(server, location, f"{name}-{number}", chance, held)
            sys.stdout.write(f"{name}-{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Store(**json.loads(sys.argv[1])), *sys.argv[2:5])
