"""Settings: one frozen object; flag > environment > `insjo.toml` > default.  The only module that reads the environment."""

from __future__ import annotations

import os
import tomllib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from insjo.kernel.errors import InvalidArgument, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

Source = Literal["flag", "environment", "file", "default"]
SettingValue = str | int | float | bool
PREFIX = "INSJO_"


def _setting(default: SettingValue, meaning: str, *, secret: bool = False) -> Any:  # noqa: ANN401  # The annotation of the field is the type.
    """Field of Settings with its meaning, from which `docs/reference/settings.md` is generated."""
    return field(default=default, metadata={"meaning": meaning, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an installation can choose."""

    data_dir: str = _setting("insjo-data", "Folder that holds the database, tables, files, models and keys.")
    host: str = _setting("127.0.0.1", "Address on which the server listens.")
    port: int = _setting(8787, "Port on which the server listens.")
    public_url: str = _setting("", "Address under which people reach the server; empty means http://HOST:PORT.")
    storage: str = _setting("", "Address where tables and files lie: s3://..., az://... or abfss://...; empty means in the data folder.")
    storage_credentials: str = _setting("", "File with what the object stores ask for; docs/how-to/object-stores.md tells its form.")
    storage_cache_mb: int = _setting(20480, "Disk that copies of files from object stores may use in the data folder, in MiB.")
    tls_port: int = _setting(0, "Port for HTTPS; 0 means the one after `port`, -1 means no HTTPS.")
    tls_host: str = _setting("", "Address on which HTTPS listens; empty means that of `host`.")
    tls_names: str = _setting("", "Names and addresses, parted by commas, that the certificate holds besides localhost and `host`.")
    database_url: str = _setting("", "Metadata database; empty means SQLite in the data folder.", secret=True)
    log_level: str = _setting("info", "debug, info, warning or error.")
    threads: int = _setting(32, "Threads in which service calls run.")
    sql_workers: int = _setting(2, "SQL worker processes kept warm; each runs one statement at a time.")
    sql_memory_mb: int = _setting(2048, "Memory limit of one SQL worker, in MiB.")
    sql_threads: int = _setting(2, "Threads of one SQL worker.")
    sql_cache_mb: int = _setting(
        512, "Memory of one SQL worker for columns that are read again and again, in MiB, a part of sql_memory_mb; 0 keeps none."
    )
    spark_token: str = _setting("", "Token that Spark Connect servers ask for.", secret=True)
    sql_timeout_s: int = _setting(3600, "Longest time that a statement may run, in seconds.")
    sql_spill_mb: int = _setting(20480, "Disk that one SQL worker may use for spilling, in MiB.")
    sql_user_statements_max: int = _setting(6, "Statements of one person that run at once; more wait for their turn.")
    sql_warehouse_statements_max: int = _setting(100, "Statements of one warehouse that run at once; more wait for their turn.")
    sql_queue_max: int = _setting(200, "Statements that may wait for a worker before new ones are refused.")
    sql_model_inputs_max: int = _setting(10_000, "Different values about which one call of a model function in a statement may ask.")
    vector_cache_mb: int = _setting(256, "Disk that vectors of texts that were embedded before may use, in MiB; 0 keeps none.")
    sql_model_endpoint: str = _setting("", "Endpoint of model functions that name none; empty means that of the packaged model.")
    result_ttl_s: int = _setting(3600, "How long a statement's result can be fetched, in seconds.")
    local_models: bool = _setting(default=True, meaning="Serve the packaged language and embedding models on this machine.")
    model_dir: str = _setting("", "Folder with GGUF files to serve besides the packaged model.")
    model_threads: int = _setting(0, "Threads of a model process; 0 means cores less one.")
    model_context_tokens: int = _setting(4096, "Context length of a local language model, in tokens.")
    typed_text_level: str = _setting("internal", "Label level of text that a person types, before detectors and fingerprints raise it.")
    contact_level: str = _setting(
        "", "Label level of text with an e-mail address, a telephone or an organisation number (category `personal`); empty: not raised."
    )
    session_ttl_s: int = _setting(43200, "How long a sign-in lasts, in seconds.")
    token_ttl_s: int = _setting(7776000, "Default lifetime of an access token, in seconds.")
    signin_link_ttl_s: int = _setting(86400, "How long the first sign-in link is good, in seconds.")

    @property
    def root(self) -> Path:
        """The data folder as an absolute path."""
        return Path(self.data_dir).expanduser().resolve()

    @property
    def base_url(self) -> str:
        """Address that is printed and put into links."""
        return self.public_url.rstrip("/") or f"http://{self.host}:{self.port}"

    @property
    def metadata_url(self) -> str:
        """SQLAlchemy URL of the metadata database."""
        return self.database_url or f"sqlite:///{self.root / 'insjo.db'}"


@dataclass(frozen=True, slots=True)
class SettingOrigin:
    """One setting as `insjo config show` tells it; secrets come masked."""

    name: str
    value: SettingValue
    source: Source
    meaning: str


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings and where each value came from."""

    settings: Settings
    origins: tuple[SettingOrigin, ...]


def load_settings(
    flags: Mapping[str, SettingValue | None],
    *,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> LoadedSettings:
    """Join flags, environment (`INSJO_<NAME>`), the file and the defaults.

    Args:
        flags: Values from the command line; None means not given.
        environment: In place of the real environment (tests).
        file: Path of `insjo.toml`; None means `insjo.toml` in the data folder, else in the working folder.

    Raises:
        InvalidArgument: For an unknown name or a value of the wrong type, with the source named.
    """
    env = dict(os.environ) if environment is None else dict(environment)
    data_dir = str(flags.get("data_dir") or env.get(PREFIX + "DATA_DIR") or "")
    from_file = _read_file(file, data_dir)
    types = get_type_hints(Settings)
    values: dict[str, SettingValue] = {}
    origins: list[SettingOrigin] = []
    for each in fields(Settings):
        value, source = _choose(each.name, flags, env, from_file)
        if value is None:
            if each.default is MISSING:  # pragma: no cover - every setting has a default; the test of the reference keeps it so.
                continue
            value = each.default
        typed = _convert(each.name, value, types[each.name], source)
        values[each.name] = typed
        shown = "********" if each.metadata["secret"] and typed else typed
        origins.append(SettingOrigin(each.name, shown, source, each.metadata["meaning"]))
    return LoadedSettings(Settings(**values), tuple(origins))  # type: ignore[arg-type]  # Converted to each field's own type above.


def _choose(
    name: str,
    flags: Mapping[str, SettingValue | None],
    env: Mapping[str, str],
    from_file: Mapping[str, SettingValue],
) -> tuple[SettingValue | None, Source]:
    """The value of highest rank and its source."""
    flag = flags.get(name)
    if flag is not None:
        return flag, "flag"
    if PREFIX + name.upper() in env:
        return env[PREFIX + name.upper()], "environment"
    if name in from_file:
        return from_file[name], "file"
    return None, "default"


def _read_file(file: Path | None, data_dir: str) -> dict[str, SettingValue]:
    """Values of `insjo.toml`; a missing file is an empty one unless it was named."""
    candidates = [file] if file else [Path(data_dir) / "insjo.toml", Path("insjo.toml")]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        if file:
            message = f"The settings file `{file}` does not exist."
            raise InvalidArgument(message)
        return {}
    try:
        values = tomllib.loads(found.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"The settings file `{found}` is not valid TOML: {error}."
        raise InvalidArgument(message) from error
    known = {each.name for each in fields(Settings)}
    for name in values:
        if name not in known:
            message = f"The settings file `{found}` has an unknown setting `{name}`."
            raise InvalidArgument(message, hint=did_you_mean(name, known))
    return values


def _convert(name: str, value: SettingValue, wanted: type, source: Source) -> SettingValue:
    """The value in the field's type."""
    if isinstance(value, wanted) and not (wanted is int and isinstance(value, bool)):
        return value
    text = str(value).strip()
    if wanted is bool and text.lower() in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
        return text.lower() in {"1", "true", "yes", "on"}
    if wanted is int:
        try:
            return int(text)
        except ValueError:
            pass
    if wanted is str:
        return text
    message = f"The setting `{name}` (from {source}) must be of type {wanted.__name__}, and `{text}` is not."
    raise InvalidArgument(message)
