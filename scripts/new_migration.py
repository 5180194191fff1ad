"""Write a migration from the difference between the migrated schema and the tables that the rooms declare.

`.venv/bin/python scripts/new_migration.py "sentence that says what changes"`.  Read what it wrote before you commit it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from insjo.bootstrap.schema import whole_schema
from insjo.kernel.database import Database

MIGRATIONS = Path(__file__).parent.parent / "src" / "insjo" / "bootstrap" / "migrations"


def main() -> None:
    """Migrate an empty database as far as the migrations go, then write the next one."""
    meaning = " ".join(sys.argv[1:]) or "initial schema"
    whole_schema()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/empty.db")
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        number = len(list((MIGRATIONS / "versions").glob("*.py"))) + 1
        with database.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            command.revision(config, message=meaning, autogenerate=True, rev_id=f"{number:04d}")
        database.close()


if __name__ == "__main__":
    main()
