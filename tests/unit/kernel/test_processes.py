"""Real child processes: readiness, death of either side, restart with back-off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from insjo.kernel.processes import BackOff, Child, ChildFailed, ChildSpec, ChildState, Supervisor, clean_environment, describe_exit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GUARDED = (
    "from insjo.kernel.processes import guard_against_orphanage, say_ready; import time;"
    "first = guard_against_orphanage(); say_ready('got ' + first.decode()); time.sleep(600)"
)


def spec(code: str, **more: object) -> ChildSpec:
    return ChildSpec(name="test", argv=(sys.executable, "-c", code), env=clean_environment(), **more)  # type: ignore[arg-type]  # Free keywords.


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123  # A zombie counts as gone.
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_child_is_ready_when_it_says_so_and_gets_its_secret_by_standard_input() -> None:
    child = Child(spec(GUARDED, first_input=b"a secret"))
    assert child.start() == "got a secret"
    assert child.alive
    child.stop()
    assert child.exit_code is not None
    assert gone(child.pid)


def test_a_child_that_ends_early_is_told_with_its_exit_code_and_its_words_are_kept() -> None:
    child = Child(spec("print('no luck'); raise SystemExit(3)"))
    with pytest.raises(ChildFailed, match="exit code 3"):
        child.start()
    assert child.tail() == ("no luck",)


def test_a_child_that_never_gets_ready_is_killed() -> None:
    child = Child(spec("import time; time.sleep(600)", ready_timeout_s=0.3))
    with pytest.raises(ChildFailed, match="not ready within"):
        child.start()
    assert gone(child.pid)


def test_a_program_that_does_not_exist_is_an_error_of_ours() -> None:
    with pytest.raises(ChildFailed, match="could not be started"):
        Child(ChildSpec(name="none", argv=("/nonexistent/program",))).start()


def test_a_child_that_ignores_the_polite_signal_is_killed() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('INSJO-READY', flush=True); time.sleep(600)"
    child = Child(spec(code, stop_timeout_s=0.2))
    child.start()
    child.stop()
    assert child.exit_code == -signal.SIGKILL
    assert describe_exit(child.exit_code) == "signal SIGKILL"


def test_a_killed_parent_takes_its_child_along(tmp_path: Path) -> None:
    parent_code = f"""
import sys, time
from insjo.kernel.processes import Child, ChildSpec
child = Child(ChildSpec(name='inner', argv=(sys.executable, '-c', {GUARDED!r})))
child.start(); print(child.pid, flush=True); time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, env=clean_environment(), text=True) as parent:
        assert parent.stdout is not None
        inner = int(parent.stdout.readline())
        assert not gone(inner)
        parent.kill()
    until(lambda: gone(inner))


def test_a_supervisor_starts_a_killed_child_again() -> None:
    ended: list[int] = []
    supervisor = Supervisor(lambda: spec(GUARDED), on_end=lambda child: ended.append(child.pid))
    supervisor.start()
    try:
        first = supervisor.wait_ready(20)
        os.kill(first.pid, signal.SIGKILL)
        until(lambda: supervisor.child is not None and supervisor.child.pid != first.pid)
        assert supervisor.restarts == 1
        assert ended == [first.pid]
        assert "signal SIGKILL" in supervisor.last_error
    finally:
        supervisor.stop()
    assert supervisor.state is ChildState.STOPPED
    assert supervisor.child is None


def test_a_child_that_cannot_start_is_tried_again_with_growing_waits_and_stops_when_told() -> None:
    supervisor = Supervisor(lambda: spec("raise SystemExit(1)"), back_off=BackOff(first_s=0.01, cap_s=0.05))
    supervisor.start()
    until(lambda: supervisor.restarts >= 3)
    assert supervisor.failed_starts >= 3
    with pytest.raises(ChildFailed, match="exit code 1"):
        supervisor.wait_ready(0.01)
    supervisor.stop()
    assert supervisor.state is ChildState.STOPPED


def test_back_off_doubles_up_to_its_cap_with_jitter() -> None:
    back_off = BackOff(first_s=1.0, cap_s=8.0)
    assert back_off.delay_s(0) == 0.0
    for failures, full in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (50, 8.0)):
        assert full / 2 <= back_off.delay_s(failures) <= full
