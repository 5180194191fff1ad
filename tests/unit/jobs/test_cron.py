"""Rules of cron: fields, days, and hours that are skipped or come twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from insjo.jobs.cron import Cron
from insjo.jobs.errors import CronInvalid

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""A Monday."""


def next_of(text: str, zone: str = "UTC", count: int = 1, start: datetime = START) -> list[str]:
    rule, found = Cron.parse(text, zone), []
    for _ in range(count):
        start = rule.after(start)
        found.append(f"{start:%Y-%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/15 * * * *", ["2026-11-23 12:15", "2026-11-23 12:30"]),
        ("30 6 * * 1-5", ["2026-11-24 06:30", "2026-11-25 06:30"]),
        ("0 0 1 * *", ["2026-12-01 00:00", "2027-01-01 00:00"]),
        ("0 9 * * sun", ["2026-11-29 09:00", "2026-12-06 09:00"]),
        ("0 9 * * 7", ["2026-11-29 09:00", "2026-12-06 09:00"]),
        ("0 0 13 * fri", ["2026-11-27 00:00", "2026-12-04 00:00"]),
        ("5,10 8-9 * nov-dec tue", ["2026-11-24 08:05", "2026-11-24 08:10"]),
        ("0 0 29 feb *", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("50/5 23 * * *", ["2026-11-23 23:50", "2026-11-23 23:55"]),
        ("@daily", ["2026-11-24 00:00", "2026-11-25 00:00"]),
    ],
)
def test_rules(text: str, expected: list[str]) -> None:
    assert next_of(text, count=2) == expected


def test_hours_are_those_of_the_place() -> None:
    assert next_of("30 6 * * *", "Europe/Stockholm", 2, datetime(2026, 3, 27, 12, tzinfo=UTC)) == ["2026-03-28 05:30", "2026-03-29 04:30"]


def test_an_hour_that_is_skipped_is_made_up_for_and_one_that_comes_twice_counts_once() -> None:
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert next_of("30 2 * * *", "Europe/Stockholm", 2, spring) == ["2026-03-29 01:30", "2026-03-30 00:30"]
    assert next_of("30 2 * * *", "Europe/Stockholm", 2, autumn) == ["2026-10-25 00:30", "2026-10-26 01:30"]
    each_hour = next_of("0 * * * *", "Europe/Stockholm", 20, autumn)
    begins = [datetime.fromisoformat(each) for each in each_hour]
    assert {later - earlier for earlier, later in pairwise(begins)} == {timedelta(hours=1)}


@pytest.mark.parametrize(
    "text",
    [
        *("", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "0 0 0 * *", "0 0 30 2 *", "*/0 * * * *", "5-1 * * * *", "a * * * *"),
        *("1, * * * *", "-1 * * * *", "1.5 * * * *", "٣ * * * *", "* * * * 8", "*/x * * * *", "x" * 200, "1-2-3 * * * *"),
    ],
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(CronInvalid):
        Cron.parse(text, "UTC")


@pytest.mark.parametrize("zone", ["", "Nowhere", "../../etc/passwd", "/etc/localtime", "Europe/Stockholm\0", "x" * 300])
def test_what_is_no_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(CronInvalid):
        Cron.parse("* * * * *", zone)
