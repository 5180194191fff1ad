"""The pool of SQL workers: who waits, who works, who is started again."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from insjo.adapters.duckdb import wire
from insjo.kernel.processes import BackOff, Child, ChildSpec, Supervisor, clean_environment, python_child
from insjo.sql.errors import StatementCancelled, WarehouseBusy, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from insjo.kernel.cancellation import CancelToken

WAIT_SLICE_S = 0.05
FAILURES_HOPELESS = 3
"""So many failed starts in a row, and no worker at all: tell those who wait instead of letting them wait on."""

_SEND_BUFFER_BYTES = 4 * 1024 * 1024


@dataclass(eq=False, slots=True)
class Slot:
    """One place for a worker process; processes come and go in it."""

    number: int
    supervisor: Supervisor
    offered: socket.socket | None = None
    connection: socket.socket | None = None
    child: Child | None = None
    send_lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(eq=False, slots=True)
class Ticket:
    """A place in the queue."""

    slot: Slot | None = None


class WorkerPool:
    """Worker processes, each of which is lent to one statement at a time, first come first served."""

    def __init__(self, *, workers: int, queue_max: int, first_input: Callable[[int], bytes]) -> None:
        self._queue_max = queue_max
        self._first_input = first_input
        self._condition = threading.Condition()
        self._idle: deque[Slot] = deque()
        self._waiting: deque[Ticket] = deque()
        self._busy: set[Slot] = set()
        self._closed = False
        self._slots = [self._make_slot(number) for number in range(workers)]

    def start(self) -> None:
        """Start the processes; does not wait for them."""
        for slot in self._slots:
            slot.supervisor.start()

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until one worker is ready; raises WorkerDied with the reason if none gets so."""
        with self._condition:
            if not self._condition.wait_for(lambda: bool(self._idle or self._busy), timeout_s):
                raise WorkerDied(f"No SQL worker is running. {self._reason()}")

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """Workers wanted, ready, busy, waiting statements, restarts."""
        with self._condition:
            restarts = sum(slot.supervisor.restarts for slot in self._slots)
            return len(self._slots), len(self._idle) + len(self._busy), len(self._busy), len(self._waiting), restarts

    @property
    def protections(self) -> tuple[str, ...]:
        """What the kernel keeps from the workers, as they report it."""
        for slot in self._slots:
            child = slot.supervisor.child
            if child is not None:
                return tuple(child.ready_message.split())
        return ()

    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers that are ready."""
        children = [slot.supervisor.child for slot in self._slots]
        return tuple(child.pid for child in children if child is not None)

    def tail(self) -> tuple[str, ...]:
        """What the workers printed last."""
        return tuple(line for slot in self._slots for line in slot.supervisor.tail())

    def acquire(self, *, timeout_s: float, cancel: CancelToken | None, on_queue: Callable[[int], None] | None) -> Slot:
        """A ready worker, when it is this caller's turn.

        Raises:
            WarehouseBusy: The queue is full, or the wait took too long.
            StatementCancelled: Cancelled while waiting.
            WorkerDied: The pool is closed, or no worker can be started.
        """
        ticket = Ticket()
        with self._condition:
            self._check_open()
            if len(self._waiting) >= self._queue_max and not self._idle:
                raise WarehouseBusy(f"{len(self._waiting)} statements are waiting already.", hint="Repeat later.")
            self._waiting.append(ticket)
            self._hand_out()
            try:
                slot = self._await_turn(ticket, time.monotonic() + timeout_s, cancel, on_queue)
            except BaseException:
                self._give_up(ticket)
                raise
        if on_queue is not None:
            on_queue(0)
        return slot

    def release(self, slot: Slot) -> None:
        """Give a worker back after its statement; a dead one is left to its supervisor."""
        with self._condition:
            self._take_back(slot)
            self._hand_out()

    def lose(self, slot: Slot, connection: socket.socket | None) -> None:
        """Give a slot back whose process is dead or deaf: what is left of it is killed, and its supervisor starts another."""
        with self._condition:
            child = slot.child if slot.connection is connection else None
            if slot.connection is connection:
                slot.connection = slot.child = None
        if child is not None:
            child.kill()
        if connection is not None:
            connection.close()
        self.release(slot)

    def close(self) -> None:
        """End all processes; those who wait get an error."""
        with self._condition:
            self._closed = True
            self._idle.clear()
            self._condition.notify_all()
        stoppers = [threading.Thread(target=slot.supervisor.stop, name="stop-worker") for slot in self._slots]
        for thread in stoppers:
            thread.start()
        for thread in stoppers:
            thread.join(20.0)

    def _make_slot(self, number: int) -> Slot:
        """A slot whose supervisor makes a new socket pair for every incarnation."""
        slot: Slot

        def prepare() -> ChildSpec:
            ours, theirs = socket.socketpair()
            for each in (ours, theirs):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            if slot.offered is not None:
                slot.offered.close()
            slot.offered = ours
            descriptor = theirs.detach()
            return ChildSpec(
                name=f"sql-worker-{number}",
                argv=python_child("insjo.adapters.duckdb.worker", "--fd", str(descriptor)),
                env=clean_environment(),
                pass_fds=(descriptor,),
                first_input=self._first_input(number),
                ready_timeout_s=60.0,
                stop_timeout_s=2.0,
            )

        def on_ready(child: Child) -> None:
            with self._condition:
                slot.connection, slot.offered, slot.child = slot.offered, None, child
                if slot not in self._busy:  # Else whoever lost the process before gives the slot back soon.
                    self._take_back(slot)
                self._hand_out()

        def on_end(child: Child) -> None:
            with self._condition:
                if slot in self._idle:
                    self._idle.remove(slot)
                if slot.child is child and slot not in self._busy:  # Else whoever works with it finds out and calls `lose`.
                    if slot.connection is not None:
                        slot.connection.close()
                    slot.connection = slot.child = None
                self._condition.notify_all()

        slot = Slot(number, Supervisor(prepare, back_off=BackOff(first_s=0.02, cap_s=15.0), on_ready=on_ready, on_end=on_end))
        return slot

    def _await_turn(self, ticket: Ticket, deadline_s: float, cancel: CancelToken | None, on_queue: Callable[[int], None] | None) -> Slot:
        """Wait in the queue, with the condition held."""
        told = 0
        while ticket.slot is None:
            self._check_open()
            if cancel is not None and cancel.cancelled:
                message = "The statement was cancelled."
                raise StatementCancelled(message)
            if time.monotonic() >= deadline_s:
                raise WarehouseBusy("The statement waited too long for a SQL worker.", hint="Repeat later.")
            if not self._idle and not self._busy and all(slot.supervisor.failed_starts >= FAILURES_HOPELESS for slot in self._slots):
                raise WorkerDied(f"No SQL worker can be started. {self._reason()}")
            position = self._waiting.index(ticket) + 1
            if on_queue is not None and position != told:
                on_queue(position)
                told = position
            self._condition.wait(WAIT_SLICE_S if cancel is not None else min(1.0, WAIT_SLICE_S * 4))
        return ticket.slot

    def _give_up(self, ticket: Ticket) -> None:
        """Leave the queue, or give back what was handed out in the same moment."""
        if ticket in self._waiting:
            self._waiting.remove(ticket)
        if ticket.slot is not None:
            self._take_back(ticket.slot)
            ticket.slot = None
        self._hand_out()

    def _take_back(self, slot: Slot) -> None:
        """A slot becomes idle if a process lives in it, with the condition held."""
        self._busy.discard(slot)
        if slot.connection is not None and slot.child is not None and slot.child.alive and not self._closed:
            self._idle.append(slot)

    def _hand_out(self) -> None:
        """Give idle workers to the first in the queue, with the condition held."""
        while self._idle and self._waiting:
            slot, ticket = self._idle.popleft(), self._waiting.popleft()
            self._busy.add(slot)
            ticket.slot = slot
        self._condition.notify_all()

    def _check_open(self) -> None:
        """Raise when the pool is closed."""
        if self._closed:
            message = "The SQL workers are shutting down."
            raise WorkerDied(message)

    def _reason(self) -> str:
        """Why a worker does not run, in the supervisor's words."""
        return next((slot.supervisor.last_error for slot in self._slots if slot.supervisor.last_error), "")


def send_to(slot: Slot, kind: bytes, body: dict[str, object]) -> None:
    """Send one JSON frame; cancellations come from other threads, so frames take turns."""
    connection = slot.connection
    if connection is None:
        raise wire.ConnectionClosed
    with slot.send_lock:
        wire.send_json(connection, kind, body)


def spill_folder(root: Path, number: int) -> Path:
    """Folder of one worker for intermediate results."""
    return root / f"worker-{number}"
