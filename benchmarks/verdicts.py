"""What was wanted, what was measured, and whether that is enough: printed at the end of a benchmark."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class Verdicts:
    """Lines of a run, in their order."""

    lines: list[dict[str, object]] = field(default_factory=list)

    def most(self, name: str, measured: float, target: float, unit: str = "") -> None:
        """A figure that may be so much at most."""
        self._add(name, measured, f"<= {target:g}{unit}", unit, fits=measured <= target)

    def least(self, name: str, measured: float, target: float, unit: str = "") -> None:
        """A figure that must be so much at least."""
        self._add(name, measured, f">= {target:g}{unit}", unit, fits=measured >= target)

    def missing(self, name: str, why: str) -> None:
        """A figure that could not be measured here."""
        self.lines.append({"name": name, "measured": None, "target": why, "verdict": "not measured"})

    def _add(self, name: str, measured: float, target: str, unit: str, *, fits: bool) -> None:
        if math.isnan(measured):
            self.missing(name, target)
            return
        self.lines.append({"name": name, "measured": f"{measured:.3g}{unit}", "target": target, "verdict": "ok" if fits else "MISSED"})

    def print(self) -> None:
        """The table."""
        print("\ntarget                                                          wanted       measured   verdict")
        for line in self.lines:
            print(f"{line['name']!s:<62} {line['target']!s:>12} {line['measured'] or '-'!s:>12}   {line['verdict']}", flush=True)
