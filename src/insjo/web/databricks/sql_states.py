"""SQLSTATEs of errors, as drivers expect them beside Databricks' error classes.

Source: Databricks SQL reference, "SQLSTATE error codes"; the classes that one finds in its list of error conditions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from insjo.kernel.errors import InsjoError

BY_CODE = {
    "AMBIGUOUS_REFERENCE": "42704",
    "ARITHMETIC_OVERFLOW": "22003",
    "CAST_INVALID_INPUT": "22018",
    "CAST_OVERFLOW": "22003",
    "CATALOG_ALREADY_EXISTS": "42710",
    "CATALOG_DOES_NOT_EXIST": "42704",
    "COMMIT_VERSION_CONFLICT": "40000",
    "DATATYPE_MISMATCH": "42K09",
    "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE": "21506",
    "DELTA_NOT_NULL_CONSTRAINT_VIOLATED": "23502",
    "DELTA_VERSION_NOT_FOUND": "22003",
    "DISK_FULL": "53100",
    "DIVIDE_BY_ZERO": "22012",
    "FIELD_NOT_FOUND": "42704",
    "GROUP_BY_POS_OUT_OF_RANGE": "42805",
    "INSERT_COLUMN_ARITY_MISMATCH": "21S01",
    "INVALID_ARRAY_INDEX": "22003",
    "INVALID_CONF_VALUE": "22022",
    "INVALID_HANDLE": "HY000",
    "INVALID_IDENTIFIER": "42602",
    "INVALID_NON_DETERMINISTIC_EXPRESSIONS": "42K0E",
    "INVALID_PARAMETER_VALUE": "22023",
    "INVALID_ROUTINE_CALL": "42883",
    "NUM_COLUMNS_MISMATCH": "42826",
    "OUT_OF_MEMORY": "53200",
    "PARSE_SYNTAX_ERROR": "42601",
    "RECURSIVE_VIEW": "42K0H",
    "ROUTINE_ALREADY_EXISTS": "42723",
    "ROUTINE_NOT_FOUND": "42883",
    "SCHEMA_ALREADY_EXISTS": "42P06",
    "SCHEMA_DOES_NOT_EXIST": "42704",
    "SCHEMA_NOT_EMPTY": "2BP01",
    "SESSION_NOT_FOUND": "08003",
    "STATEMENT_CANCELLED": "HY008",
    "STATEMENT_TIMED_OUT": "57014",
    "TABLE_OR_VIEW_ALREADY_EXISTS": "42P07",
    "TABLE_OR_VIEW_NOT_FOUND": "42P01",
    "TEMP_TABLE_OR_VIEW_ALREADY_EXISTS": "42P07",
    "UNBOUND_SQL_PARAMETER": "42P02",
    "UNRESOLVED_COLUMN": "42703",
    "UNRESOLVED_ROUTINE": "42883",
    "UNSUPPORTED_FEATURE": "0A000",
    "VOLUME_ALREADY_EXISTS": "42000",
    "VOLUME_DOES_NOT_EXIST": "42704",
    "WRONG_COMMAND_FOR_OBJECT_TYPE": "42809",
    "WRONG_NUM_ARGS": "42605",
}

BY_KIND = {
    "INVALID_ARGUMENT": "42000",
    "UNAUTHENTICATED": "28000",
    "PERMISSION_DENIED": "42501",
    "NOT_FOUND": "42704",
    "ALREADY_EXISTS": "42710",
    "ABORTED": "40000",
    "FAILED_PRECONDITION": "55000",
    "RESOURCE_EXHAUSTED": "53000",
    "UNIMPLEMENTED": "0A000",
    "UPSTREAM_FAILED": "58000",
    "UNAVAILABLE": "08000",
    "DEADLINE_EXCEEDED": "57014",
    "CANCELLED": "HY008",
    "INTERNAL": "XX000",
}
"""For codes of our own."""


def sql_state(error: InsjoError) -> str:
    """The SQLSTATE of an error."""
    own = error.details.get("sql_state")
    return str(own) if own else BY_CODE.get(error.code, BY_KIND.get(error.kind, "XX000"))


def code_and_message(error: InsjoError) -> str:
    """The error as Databricks writes it: its class in brackets, the message, the SQLSTATE."""
    return f"[{error.code}] {error} SQLSTATE: {sql_state(error)}"
