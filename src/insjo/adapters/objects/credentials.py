"""What an object store asks for, from the file that the setting `storage_credentials` names."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

from insjo.kernel.errors import InvalidArgument


def read_credentials(file: str) -> dict[str, str]:
    """Options of the store; none when no file is named, and then the machine's own identity counts.

    Raises:
        InvalidArgument: The file is not there, may be read by others, or is not a list of texts in TOML.
    """
    if not file:
        return {}
    path = Path(file).expanduser()
    try:
        mode = path.stat().st_mode
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(f"`{path}` cannot be read") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _wrong(f"`{path}` may be read by others", hint=f"Run `chmod 600 {path}`.")
    try:
        values = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(f"`{path}` is not valid TOML: {error}") from error
    for key, value in values.items():
        if not isinstance(value, str):
            raise _wrong(f"`{key}` in `{path}` is not a text", hint=f'Write `{key} = "..."`.')
    return values


def _wrong(what: str, hint: str = "") -> InvalidArgument:
    message = f"The setting `storage_credentials`: {what}."
    return InvalidArgument(message, hint=hint)
