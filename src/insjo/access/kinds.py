"""The kinds of securables, the privileges, and which of them fit together."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from insjo.access.errors import UnknownPrivilege, UnknownSecurableKind
from insjo.kernel.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping


class SecurableKind(StrEnum):
    """What a right can be given on; a view is a TABLE, as in Unity Catalog."""

    METASTORE = "METASTORE"
    CATALOG = "CATALOG"
    SCHEMA = "SCHEMA"
    TABLE = "TABLE"
    VOLUME = "VOLUME"
    FUNCTION = "FUNCTION"
    MODEL = "MODEL"
    INDEX = "INDEX"
    AGENT = "AGENT"
    WAREHOUSE = "WAREHOUSE"
    ENDPOINT = "ENDPOINT"
    SECRET_SCOPE = "SECRET_SCOPE"  # noqa: S105  # A kind of object, no password.
    JOB = "JOB"
    FOLDER = "FOLDER"
    WORKSPACE_FILE = "WORKSPACE_FILE"
    QUERY = "QUERY"
    DASHBOARD = "DASHBOARD"
    DROPPED_TABLE = "DROPPED_TABLE"
    """A table after DROP, while it can be brought back with all its rights; nobody can name it."""

    @property
    def noun(self) -> str:
        """The kind as a word in a sentence: `secret scope`."""
        return self.value.lower().replace("_", " ")

    @staticmethod
    def parse(text: str) -> SecurableKind:
        """Kind from the words of SQL and of the REST doors (`table`, `VIEW`, `registered_model`).

        Raises:
            UnknownSecurableKind: For any other word.
        """
        word = "_".join(text.replace("_", " ").upper().split())
        word = _KIND_ALIASES.get(word, word)
        known = [kind for kind in SecurableKind if kind is not SecurableKind.DROPPED_TABLE]
        if word in known:
            return SecurableKind(word)
        message = f"`{text}` is no kind of securable."
        raise UnknownSecurableKind(message, hint=did_you_mean(word, known))


_KIND_ALIASES: Final[Mapping[str, str]] = {
    "VIEW": "TABLE",
    "DATABASE": "SCHEMA",
    "REGISTERED_MODEL": "MODEL",
    "VECTOR_SEARCH_INDEX": "INDEX",
    "SERVING_ENDPOINT": "ENDPOINT",
    "SQL_WAREHOUSE": "WAREHOUSE",
}


class Privilege(StrEnum):
    """The privileges of Unity Catalog, and those for the securables that only Insjö has."""

    USE_CATALOG = "USE_CATALOG"
    USE_SCHEMA = "USE_SCHEMA"
    SELECT = "SELECT"
    MODIFY = "MODIFY"
    EXECUTE = "EXECUTE"
    READ_VOLUME = "READ_VOLUME"
    WRITE_VOLUME = "WRITE_VOLUME"
    APPLY_TAG = "APPLY_TAG"
    MANAGE = "MANAGE"
    BROWSE = "BROWSE"
    ALL_PRIVILEGES = "ALL_PRIVILEGES"
    CREATE_CATALOG = "CREATE_CATALOG"
    CREATE_SCHEMA = "CREATE_SCHEMA"
    CREATE_TABLE = "CREATE_TABLE"
    CREATE_VOLUME = "CREATE_VOLUME"
    CREATE_FUNCTION = "CREATE_FUNCTION"
    CREATE_MODEL = "CREATE_MODEL"
    CREATE_INDEX = "CREATE_INDEX"
    CREATE_AGENT = "CREATE_AGENT"
    CREATE_WAREHOUSE = "CREATE_WAREHOUSE"
    CREATE_ENDPOINT = "CREATE_ENDPOINT"
    CREATE_SECRET_SCOPE = "CREATE_SECRET_SCOPE"  # noqa: S105  # A privilege, no password.
    CREATE_JOB = "CREATE_JOB"

    @property
    def words(self) -> str:
        """The privilege as SQL writes it: `USE CATALOG`."""
        return self.value.replace("_", " ")

    @staticmethod
    def parse(text: str) -> Privilege:
        """Privilege from either spelling (`USE CATALOG`, `use_catalog`).

        Raises:
            UnknownPrivilege: For any other word.
        """
        word = "_".join(text.replace("_", " ").upper().split())
        word = _PRIVILEGE_ALIASES.get(word, word)
        try:
            return Privilege(word)
        except ValueError:
            message = f"`{text}` is no privilege."
            raise UnknownPrivilege(message, hint=did_you_mean(word, list(Privilege))) from None


_PRIVILEGE_ALIASES: Final[Mapping[str, str]] = {"CREATE_VIEW": "CREATE_TABLE", "ALL": "ALL_PRIVILEGES", "USE_DATABASE": "USE_SCHEMA"}


def _create(*kinds: SecurableKind) -> frozenset[Privilege]:
    """The privileges to create objects of these kinds; what stands in a folder is created by whoever may change the folder."""
    return frozenset(Privilege(f"CREATE_{kind.value}") for kind in kinds)


_K = SecurableKind
_UNDER_SCHEMA: Final = (_K.TABLE, _K.VOLUME, _K.FUNCTION, _K.MODEL, _K.INDEX, _K.AGENT)
_UNDER_METASTORE: Final = (_K.CATALOG, _K.WAREHOUSE, _K.ENDPOINT, _K.SECRET_SCOPE, _K.JOB)
_IN_FOLDERS: Final = (_K.FOLDER, _K.WORKSPACE_FILE, _K.QUERY, _K.DASHBOARD)
_EVERY_OBJECT: Final = frozenset({Privilege.MANAGE, Privilege.BROWSE, Privilege.ALL_PRIVILEGES, Privilege.APPLY_TAG})
_TABLE: Final = _EVERY_OBJECT | {Privilege.SELECT, Privilege.MODIFY}
_VOLUME: Final = _EVERY_OBJECT | {Privilege.READ_VOLUME, Privilege.WRITE_VOLUME}
_RUN: Final = _EVERY_OBJECT | {Privilege.EXECUTE}
_SCHEMA: Final = _TABLE | _VOLUME | _RUN | _create(*_UNDER_SCHEMA) | {Privilege.USE_SCHEMA}

GRANTABLE: Final[Mapping[SecurableKind, frozenset[Privilege]]] = {
    **dict.fromkeys((*_UNDER_SCHEMA, *_UNDER_METASTORE), _RUN),
    _K.METASTORE: _create(*_UNDER_METASTORE) | {Privilege.MANAGE},
    _K.CATALOG: _SCHEMA | _create(_K.SCHEMA) | {Privilege.USE_CATALOG},
    _K.SCHEMA: _SCHEMA,
    **dict.fromkeys((*_IN_FOLDERS, _K.SECRET_SCOPE), _TABLE | _RUN),
    **dict.fromkeys((_K.TABLE, _K.DROPPED_TABLE), _TABLE),
    _K.VOLUME: _VOLUME,
    _K.INDEX: _EVERY_OBJECT | {Privilege.SELECT},
}
"""Which privileges can be granted on which kind.  Holding any of them, directly or inherited, makes the object visible."""

CREATE_PRIVILEGE: Final[Mapping[SecurableKind, Privilege]] = {
    **{kind: Privilege(f"CREATE_{kind.value}") for kind in (*_UNDER_METASTORE, *_UNDER_SCHEMA, _K.SCHEMA)},
    **dict.fromkeys(_IN_FOLDERS, Privilege.MODIFY),
    _K.DROPPED_TABLE: Privilege.CREATE_TABLE,
}
"""The privilege on the parent that creating an object of the kind needs."""

PARENT_KIND: Final[Mapping[SecurableKind, SecurableKind]] = {
    **dict.fromkeys(_UNDER_METASTORE, _K.METASTORE),
    **dict.fromkeys((*_UNDER_SCHEMA, _K.DROPPED_TABLE), _K.SCHEMA),
    **dict.fromkeys(_IN_FOLDERS, _K.FOLDER),
    _K.SCHEMA: _K.CATALOG,
}
"""Under which kind an object of the kind stands; the topmost folders, which only Insjö makes, stand under the metastore."""
