"""The options of COPY INTO: those of Databricks, and what Insjö adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from insjo.kernel.errors import did_you_mean
from insjo.sql.errors import FileOptionInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

Mode = Literal["append", "replace", "merge"]

_FLAGS = ("force", "mergeschema", "overwriteschema", "quarantine")
_KNOWN = {"force": "force", "mergeschema": "mergeSchema", "overwriteschema": "overwriteSchema", "quarantine": "quarantine"} | {
    "mode": "mode",
    "mergekeys": "mergeKeys",
    "loadid": "loadId",
}
_ID_CHARS_MAX = 64


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """What was asked for.

    Attributes:
        force: Files that were loaded before are loaded again.
        merges_schema: New columns of the files are added to the table.
        replaces_schema: With `mode` replace: the table gets the columns of the files.
        quarantine: Bad rows go to the table `<target>_quarantine` instead of ending the statement.
        mode: What happens to the rows that are there: they stay, they go, or those with the same key are updated.
        keys: Columns of the key, with `mode` merge.
        load_id: A load with the same identifier is done once, whenever it was interrupted; empty for none.
    """

    force: bool = False
    merges_schema: bool = False
    replaces_schema: bool = False
    quarantine: bool = False
    mode: Mode = "append"
    keys: tuple[str, ...] = ()
    load_id: str = ""


def copy_options(given: Mapping[str, str]) -> CopyOptions:
    """The options, checked; raises FileOptionInvalid."""
    options = {key.lower(): value for key, value in given.items()}
    for key, value in options.items():
        if key not in _KNOWN:
            message = f"`{key}` is not a copy option."
            raise FileOptionInvalid(message, hint=did_you_mean(key, _KNOWN.values()) or f"Use {', '.join(_KNOWN.values())}.")
        if key in _FLAGS and value.lower() not in {"true", "false"}:
            message = f"The copy option `{_KNOWN[key]}` is true or false, and not `{value}`."
            raise FileOptionInvalid(message)
    mode = options.get("mode", "append").lower()
    if mode not in {"append", "replace", "merge"}:
        message = f"`{mode}` is not a mode."
        raise FileOptionInvalid(message, hint="Use append, replace or merge.")
    keys = tuple(key.strip() for key in options.get("mergekeys", "").split(",") if key.strip())
    flags = {key: options.get(key, "false").lower() == "true" for key in _FLAGS}
    load_id = options.get("loadid", "")
    if (mode == "merge") != bool(keys):
        message = "`mode` = `merge` and `mergeKeys` belong together."
        raise FileOptionInvalid(message, hint="COPY_OPTIONS ('mode' = 'merge', 'mergeKeys' = 'id')")
    if flags["overwriteschema"] and mode != "replace":
        message = "`overwriteSchema` belongs to `mode` = `replace`."
        raise FileOptionInvalid(message)
    if len(load_id) > _ID_CHARS_MAX or not all(letter.isalnum() or letter in "-_." for letter in load_id):
        message = f"`loadId` has at most {_ID_CHARS_MAX} letters, digits, `-`, `_` and `.`."
        raise FileOptionInvalid(message)
    return CopyOptions(
        force=flags["force"],
        merges_schema=flags["mergeschema"],
        replaces_schema=flags["overwriteschema"],
        quarantine=flags["quarantine"],
        mode="append" if mode == "append" else "replace" if mode == "replace" else "merge",
        keys=keys,
        load_id=load_id,
    )
