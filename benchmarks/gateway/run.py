"""What the gateway costs: the same requests straight to a fake provider and through Insjö, in one run.

The provider and the load clients are small C programs, so that what is measured is the gateway.  Load and provider run on the first
core, the gateway with one worker on the second.  Takes about a minute; needs gcc.

    python benchmarks/gateway/run.py [--quick] [--json results.json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
TOOLS = ("upstream", "pload", "sload")
LIMITS = {"rps_share_16": 0.12, "cpu_us_16": 150.0, "added_ms_1": 0.3, "added_ms_16": 2.0, "event_cpu_us": 60.0, "rss_mb": 120.0}
STANDARD_S, QUICK_S = 3.0, 1.0
"""Time of each measurement of whole answers."""

DRIFT_MAX = 0.1
TICKS = os.sysconf("SC_CLK_TCK")


def compile_tools(folder: Path) -> None:
    """Compile the C programs."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        sys.exit("This benchmark needs gcc.")
    for tool in TOOLS:
        subprocess.run([compiler, "-O2", "-w", "-o", str(folder / tool), str(HERE / f"{tool}.c")], check=True)


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def on_core(core: int, command: list[str]) -> list[str]:
    """The command bound to a core, where the machine has more than one and the tool for it."""
    if shutil.which("taskset") is None or (os.cpu_count() or 1) < 2:
        return command
    return ["taskset", "-c", str(core), *command]


@contextlib.contextmanager
def running(command: list[str], *, stdin: int | None = None, stdout: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A child process until the block ends."""
    with subprocess.Popen(command, text=True, stdin=stdin, stdout=stdout, cwd=HERE.parent.parent) as process:
        try:
            yield process
        finally:
            if process.stdin:
                process.stdin.close()
            else:
                process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid: int) -> float:
    """Memory of a process now."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def load(folder: Path, tool: str, port: int, *arguments: str) -> dict[str, float]:
    """Run a load client and give what it printed."""
    command = on_core(0, [str(folder / tool), str(port), "/v1/chat/completions", *arguments])
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    if done.stderr:
        print(done.stderr[:500], file=sys.stderr)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def whole(folder: Path, port: int, token: str, callers: int, seconds: float, pid: int | None = None) -> dict[str, float]:
    """Whole answers with some callers; with a pid also its processor time a request."""
    before = cpu_s(pid) if pid else 0.0
    found = load(folder, "pload", port, str(callers), str(seconds), token, "gpt-fake")
    if pid:
        found["cpu_us"] = (cpu_s(pid) - before) / max(found["requests"], 1) * 1e6
    return found


def streams(folder: Path, port: int, token: str, callers: int, total: int, model: str, pid: int | None = None) -> dict[str, float]:
    """Streams; with a pid also its processor time an event."""
    before = cpu_s(pid) if pid else 0.0
    found = load(folder, "sload", port, str(callers), str(total), "30", token, model)
    if pid:
        found["cpu_us"] = (cpu_s(pid) - before) / max(found["events"], 1) * 1e6
    return found


def open_streams(folder: Path, port: int, token: str, pid: int, count: int) -> float:
    """Memory of one open stream in KB: many streams that speak every three seconds are held open."""
    before = rss_mb(pid)
    command = on_core(0, [str(folder / "sload"), str(port), "/v1/chat/completions", str(count), str(count), "7", token, "gpt-fake-hold"])
    with running(command, stdout=subprocess.DEVNULL):
        time.sleep(5)
        return (rss_mb(pid) - before) * 1024 / count


def first_request(port: int, token: str) -> None:
    """One request, to see that all is there."""
    body = json.dumps({"model": "gpt-fake", "messages": [{"role": "user", "content": "hello"}]}).encode()
    head = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", body, head)
    deadline = time.monotonic() + 15
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # The address is built above.
                answer.read()
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def start(stack: contextlib.ExitStack, script: list[str]) -> dict[str, Any]:
    """Start a server on the second core; gives what it told when it was ready."""
    command = on_core(1, [sys.executable, "-m", f"benchmarks.gateway.{script[0]}", *script[1:]])
    server = stack.enter_context(running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    told: dict[str, Any] = json.loads(server.stdout.readline() if server.stdout else "{}")
    return told


def measure(seconds: float) -> dict[str, float]:
    """All figures."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        compile_tools(folder)
        upstream = free_port()
        stack.enter_context(running(on_core(0, [str(folder / "upstream"), f"{upstream}:0:0:0:100"])))
        bare = start(stack, ["bare", "--upstream", str(upstream)])
        began = time.monotonic()
        told = start(stack, ["serve", "--folder", name, "--upstream", str(upstream)])
        port, token, pid = told["port"], told["token"], told["pid"]
        first_request(port, token)
        found["first_request_s"] = time.monotonic() - began
        found["rss_begin_mb"] = rss_mb(pid)
        whole(folder, port, token, 16, 1)
        for callers in (1, 16, 64):
            direct = whole(folder, upstream, "sk-test", callers, seconds)
            ours = whole(folder, port, token, callers, seconds, pid)
            passed = whole(folder, bare["port"], "none", callers, seconds, bare["pid"])
            found[f"bare_rps_{callers}"], found[f"bare_cpu_us_{callers}"] = passed["rps"], passed["cpu_us"]
            found[f"direct_rps_{callers}"] = direct["rps"]
            found[f"rps_{callers}"] = ours["rps"]
            found[f"rps_share_{callers}"] = ours["rps"] / direct["rps"]
            found[f"added_ms_{callers}"] = ours["p50"] - direct["p50"]
            found[f"cpu_us_{callers}"] = ours["cpu_us"]
            found[f"errors_{callers}"] = ours["errors"]
        direct = streams(folder, upstream, "sk-test", 16, 1000, "gpt-fake")
        ours = streams(folder, port, token, 16, 300, "gpt-fake", pid)
        found["direct_events_s"], found["events_s"], found["burst_event_cpu_us"] = direct["ev_per_s"], ours["ev_per_s"], ours["cpu_us"]
        direct = streams(folder, upstream, "sk-test", 32, 96, "gpt-fake-paced")
        ours = streams(folder, port, token, 32, 96, "gpt-fake-paced", pid)
        found["event_cpu_us"] = ours["cpu_us"]
        found["first_token_later_ms"] = ours["ttft_p50"] - direct["ttft_p50"]
        found["gap_p99_ms"], found["direct_gap_p99_ms"] = ours["gap_p99"], direct["gap_p99"]
        found["stream_errors"] = ours["err"]
        found["kb_a_stream"] = open_streams(folder, port, token, pid, 500)
        found["rss_mb"] = rss_mb(pid)
        again = whole(folder, bare["port"], "none", 16, seconds, bare["pid"])
        found["drift"] = again["cpu_us"] / found["bare_cpu_us_16"] - 1
    return found


def show(found: dict[str, float]) -> None:
    """The table."""
    columns = ("direct_rps", "bare_rps", "rps", "rps_share", "added_ms", "bare_cpu_us", "cpu_us", "errors")
    titles = ("direct req/s", "bare req/s", "ours req/s", "of direct", "added p50 ms", "bare CPU us", "our CPU us", "errors")
    print(f"{'callers':>8} " + " ".join(f"{title:>13}" for title in titles))
    forms = (",.0f", ",.0f", ",.0f", ".1%", ".3f", ".0f", ".0f", ".0f")
    for callers in (1, 16, 64):
        row = (f"{found[f'{name}_{callers}']:>13{form}}" for name, form in zip(columns, forms, strict=True))
        print(f"{callers:>8} " + " ".join(row))
    print("bare: the same server and client passing the bytes on, without key, rights, labels, audit and usage")
    print(f"\nstreams as fast as they go: direct {found['direct_events_s']:,.0f} events/s, ours {found['events_s']:,.0f}", end="")
    print(f" ({found['burst_event_cpu_us']:.1f} us CPU an event)")
    print(f"32 paced streams of 100 events/s: {found['event_cpu_us']:.1f} us CPU an event, first token", end=" ")
    print(f"{found['first_token_later_ms']:+.2f} ms, p99 gap {found['gap_p99_ms']:.1f} ms (direct {found['direct_gap_p99_ms']:.1f})")
    print(f"memory {found['rss_begin_mb']:.0f} MB at first, {found['rss_mb']:.0f} MB after;", end=" ")
    print(f"{found['kb_a_stream']:.1f} KB an open stream; first request {found['first_request_s']:.2f} s after the process started\n")
    if abs(found["drift"]) > DRIFT_MAX:
        print(f"VOID: the baseline moved by {found['drift']:+.0%} during the run; others use this machine\n")
    for name, limit in LIMITS.items():
        at_least = name.startswith("rps_share")
        good = found[name] >= limit if at_least else found[name] <= limit
        print(f"{'ok    ' if good else 'MISSED'} {name:<16} {found[name]:>8.3f}  target {'>=' if at_least else '<='} {limit}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a shorter run")
    parser.add_argument("--json", type=Path, default=None, help="write the figures here as well")
    chosen = parser.parse_args()
    cores, python = os.cpu_count(), platform.python_version()
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {cores} cores, load {os.getloadavg()[0]:.1f}, Python {python}, {platform.machine()}\n")
    found = measure(QUICK_S if chosen.quick else STANDARD_S)
    show(found)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
