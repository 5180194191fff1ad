"""A child process that does runs until it is killed; started by the tests."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from insjo.jobs.service import Jobs
from tests.support.lake import open_lake

if TYPE_CHECKING:
    from insjo.jobs.ports import RunContext


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def hang(run: RunContext) -> None:
    """Tell that it began, and never end."""
    run.progress(1, 2, "begun")
    say(run.run_id)
    while not run.cancelled():
        time.sleep(0.01)


def count(run: RunContext) -> dict[str, object]:
    say(f"done {run.run_id}")
    return {"by": "child"}


if __name__ == "__main__":
    with open_lake(Path(sys.argv[1])) as lake:
        jobs = Jobs(database=lake.database, clock=lake.room._parts.clock, access=lake.access)
        jobs.register("hang", hang)
        jobs.register("again", hang, resumable=True)
        jobs.register("count", count)
        jobs.start()
        say("ready")
        threading.Event().wait()
