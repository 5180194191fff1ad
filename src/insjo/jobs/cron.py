"""When something is due: the five fields of cron, in a time zone.

Fields: minute, hour, day of the month, month, day of the week (0 or 7 is Sunday), each `*`, a number, a name, a range `a-b`, a step
`*/n` or `a-b/n`, or several with commas.  When both days are restricted, either of them is enough, as in cron itself.  A time that the
clock skips in spring is taken at the moment of the change; one that comes twice in autumn is taken once, unless the hour is `*`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from insjo.jobs.errors import CronInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, tzinfo

_DAYS_MAX: Final = 366 * 8
"""The 29th of February may be eight years away."""

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final[tuple[tuple[str, int, int, Mapping[str, int]], ...]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: at + 1 for at, name in enumerate(_MONTHS)}),
    ("day of the week", 0, 7, {name: at for at, name in enumerate(_WEEKDAYS)}),
)
_SHORTHANDS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_TEXT_CHARS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Cron:
    """A rule; see the module for its meaning.

    Attributes:
        text: As it was written.
        every_hour: The hour is `*`, so that a repeated hour counts twice.
        any_day: The day of the month is `*`; `any_weekday` likewise.
    """

    text: str
    zone: tzinfo
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    every_hour: bool
    any_day: bool
    any_weekday: bool

    @classmethod
    def parse(cls, text: str, zone: str) -> Cron:
        """A rule from its text and the name of a time zone, such as `Europe/Stockholm`.

        Raises:
            CronInvalid: One of them cannot be read, or the rule never comes true.
        """
        fields = _SHORTHANDS.get(text.strip().lower(), text).split()
        if len(text) > _TEXT_CHARS_MAX or len(fields) != len(_FIELDS):
            message = f"`{text[:_TEXT_CHARS_MAX]}` is not a rule of five fields."
            raise CronInvalid(message, hint="Minute, hour, day of the month, month, day of the week: `30 6 * * 1-5` is 6.30 on workdays.")
        minutes, hours, days, months, weekdays = (_values(given, *field) for given, field in zip(fields, _FIELDS, strict=True))
        made = cls(
            text=" ".join(fields),
            zone=_zone(zone),
            minutes=tuple(sorted(minutes)),
            hours=tuple(sorted(hours)),
            days=frozenset(days),
            months=frozenset(months),
            weekdays=frozenset(each % 7 for each in weekdays),
            every_hour=fields[1] == "*",
            any_day=fields[2].startswith("*"),
            any_weekday=fields[4].startswith("*"),
        )
        made.after(datetime(2024, 1, 1, tzinfo=UTC))
        return made

    def after(self, moment: datetime) -> datetime:
        """The first time after a moment, in UTC; raises CronInvalid when there is none."""
        start = moment.astimezone(self.zone).date() - timedelta(days=1)
        for offset in range(_DAYS_MAX):
            day = start + timedelta(days=offset)
            if self._is_day(day):
                found = min((each for each in self._times(day) if each > moment), default=None)
                if found is not None:
                    return found
        message = f"`{self.text}` never comes true."
        raise CronInvalid(message)

    def _is_day(self, day: date) -> bool:
        """Whether something is due on a day."""
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        chosen = in_month and in_week if self.any_day or self.any_weekday else in_month or in_week
        return day.month in self.months and chosen

    def _times(self, day: date) -> Iterator[datetime]:
        """All times of a day, in UTC."""
        for hour in self.hours:
            for minute in self.minutes:
                for fold in (0, 1) if self.every_hour else (0,):
                    yield datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone, fold=fold).astimezone(UTC)


def _zone(name: str) -> tzinfo:
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:
        message = f"`{name[:60]}` is not a time zone."
        raise CronInvalid(message, hint="For example `Europe/Stockholm` or `UTC`.") from error


def _values(given: str, called: str, low: int, high: int, names: Mapping[str, int]) -> set[int]:
    """Numbers that a field means."""
    found: set[int] = set()
    for part in given.lower().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        begin = low if span == "*" else _number(first, names)
        end = high if span == "*" or (slash and not dash) else _number(last, names) if dash else begin
        stride = int(step) if step.isascii() and step.isdigit() else 0 if slash else 1
        if begin is None or end is None or stride < 1 or not low <= begin <= end <= high:
            message = f"`{part[:30]}` is not a {called} of a rule."
            raise CronInvalid(message, hint=f"It lies between {low} and {high}; `*` means every one.")
        found.update(range(begin, end + 1, stride))
    return found


def _number(text: str, names: Mapping[str, int]) -> int | None:
    return names.get(text, int(text) if text.isascii() and text.isdigit() and len(text) <= 2 else None)  # noqa: PLR2004  # Two digits.
