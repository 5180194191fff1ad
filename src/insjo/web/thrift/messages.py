"""Messages of the service TCLIService, as far as they are served here.

Source of names and numbers: `TCLIService` as the Apache-2.0 licensed databricks-sql-connector 4.9.0 speaks it (clients.md 1e), an
extension of Apache Hive's `TCLIService.thrift`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from insjo.web.thrift.binary import BINARY, BOOL, BYTE, DOUBLE, I16, I32, I64, TEXT, Wire, list_of, map_of, struct_of

PROTOCOL_V7 = 0xA507
"""SPARK_CLI_SERVICE_PROTOCOL_V7, the newest that the clients seen here ask for."""


class StatusCode(IntEnum):
    """Outcome of a call."""

    SUCCESS = 0
    ERROR = 3
    INVALID_HANDLE = 4


class OperationState(IntEnum):
    """Where an operation is."""

    RUNNING = 1
    FINISHED = 2
    CANCELED = 3
    CLOSED = 4
    ERROR = 5
    PENDING = 7


class OperationType(IntEnum):
    """What an operation does."""

    EXECUTE_STATEMENT = 0
    GET_TYPE_INFO = 1
    GET_CATALOGS = 2
    GET_SCHEMAS = 3
    GET_TABLES = 4
    GET_TABLE_TYPES = 5
    GET_COLUMNS = 6
    GET_FUNCTIONS = 7
    UNKNOWN = 8


class RowSetType(IntEnum):
    """Form of rows."""

    ARROW = 0
    COLUMNS = 1


class TypeId(IntEnum):
    """Types of columns."""

    BOOLEAN = 0
    TINYINT = 1
    SMALLINT = 2
    INT = 3
    BIGINT = 4
    FLOAT = 5
    DOUBLE = 6
    STRING = 7
    TIMESTAMP = 8
    BINARY = 9
    ARRAY = 10
    MAP = 11
    STRUCT = 12
    DECIMAL = 15
    NULL = 16
    DATE = 17
    INTERVAL_YEAR_MONTH = 20
    INTERVAL_DAY_TIME = 21


FETCH_NEXT = 0
FETCH_FIRST = 4


@dataclass(slots=True)
class Status:
    """Outcome of a call."""

    status_code: Annotated[int | None, Wire(1, I32)] = None
    sql_state: Annotated[str | None, Wire(3, TEXT)] = None
    error_code: Annotated[int | None, Wire(4, I32)] = None
    error_message: Annotated[str | None, Wire(5, TEXT)] = None
    display_message: Annotated[str | None, Wire(6, TEXT)] = None


@dataclass(slots=True)
class HandleIdentifier:
    """Identifier of a session or operation, and what proves that we gave it."""

    guid: Annotated[bytes | None, Wire(1, BINARY)] = None
    secret: Annotated[bytes | None, Wire(2, BINARY)] = None


@dataclass(slots=True)
class SessionHandle:
    """A session."""

    session_id: Annotated[HandleIdentifier | None, Wire(1, struct_of("HandleIdentifier"))] = None
    server_protocol_version: Annotated[int | None, Wire(3329, I32)] = None


@dataclass(slots=True)
class OperationHandle:
    """An operation."""

    operation_id: Annotated[HandleIdentifier | None, Wire(1, struct_of("HandleIdentifier"))] = None
    operation_type: Annotated[int | None, Wire(2, I32)] = None
    has_result_set: Annotated[bool | None, Wire(3, BOOL)] = None
    modified_row_count: Annotated[float | None, Wire(4, DOUBLE)] = None


@dataclass(slots=True)
class Namespace:
    """Current catalog and schema."""

    catalog_name: Annotated[str | None, Wire(1, TEXT)] = None
    schema_name: Annotated[str | None, Wire(2, TEXT)] = None


@dataclass(slots=True)
class OpenSessionReq:
    """A new session."""

    client_protocol: Annotated[int | None, Wire(1, I32)] = None
    configuration: Annotated[dict[str, str] | None, Wire(4, map_of(TEXT, TEXT))] = None
    client_protocol_i64: Annotated[int | None, Wire(1282, I64)] = None
    initial_namespace: Annotated[Namespace | None, Wire(1284, struct_of("Namespace"))] = None
    can_use_multiple_catalogs: Annotated[bool | None, Wire(1285, BOOL)] = None


@dataclass(slots=True)
class OpenSessionResp:
    """The session."""

    status: Annotated[Status | None, Wire(1, struct_of("Status"))] = None
    server_protocol_version: Annotated[int | None, Wire(2, I32)] = None
    session_handle: Annotated[SessionHandle | None, Wire(3, struct_of("SessionHandle"))] = None
    configuration: Annotated[dict[str, str] | None, Wire(4, map_of(TEXT, TEXT))] = None
    initial_namespace: Annotated[Namespace | None, Wire(1284, struct_of("Namespace"))] = None
    can_use_multiple_catalogs: Annotated[bool | None, Wire(1285, BOOL)] = None


@dataclass(slots=True)
class CloseSessionReq:
    """End of a session."""

    session_handle: Annotated[SessionHandle | None, Wire(1, struct_of("SessionHandle"))] = None


@dataclass(slots=True)
class StatusResp:
    """Answer of CloseSession, CancelOperation and CloseOperation."""

    status: Annotated[Status | None, Wire(1, struct_of("Status"))] = None


@dataclass(slots=True)
class DirectResultsWanted:
    """The client takes the first rows with the answer."""

    max_rows: Annotated[int | None, Wire(1, I64)] = None
    max_bytes: Annotated[int | None, Wire(2, I64)] = None


@dataclass(slots=True)
class ArrowTypes:
    """Types that the client takes in Arrow's own form instead of as text."""

    timestamp_as_arrow: Annotated[bool | None, Wire(1, BOOL)] = None
    decimal_as_arrow: Annotated[bool | None, Wire(2, BOOL)] = None
    complex_types_as_arrow: Annotated[bool | None, Wire(3, BOOL)] = None
    interval_types_as_arrow: Annotated[bool | None, Wire(4, BOOL)] = None
    null_type_as_arrow: Annotated[bool | None, Wire(5, BOOL)] = None


@dataclass(slots=True)
class ParameterValue:
    """Value of a parameter."""

    string_value: Annotated[str | None, Wire(1, TEXT)] = None
    double_value: Annotated[float | None, Wire(2, DOUBLE)] = None
    boolean_value: Annotated[bool | None, Wire(3, BOOL)] = None


@dataclass(slots=True)
class ParameterArgument:
    """Item of an array or a map that is given as a parameter."""

    type: Annotated[str | None, Wire(1, TEXT)] = None
    value: Annotated[str | None, Wire(2, TEXT)] = None
    arguments: Annotated[list[ParameterArgument] | None, Wire(3, list_of(struct_of("ParameterArgument")))] = None


@dataclass(slots=True)
class StatementParameter:
    """A parameter of a statement; without a name it stands for the next `?`."""

    ordinal: Annotated[int | None, Wire(1, I32)] = None
    name: Annotated[str | None, Wire(2, TEXT)] = None
    type: Annotated[str | None, Wire(3, TEXT)] = None
    value: Annotated[ParameterValue | None, Wire(4, struct_of("ParameterValue"))] = None
    arguments: Annotated[list[ParameterArgument] | None, Wire(5, list_of(struct_of("ParameterArgument")))] = None


@dataclass(slots=True)
class ExecuteStatementReq:
    """A statement to run."""

    session_handle: Annotated[SessionHandle | None, Wire(1, struct_of("SessionHandle"))] = None
    statement: Annotated[str | None, Wire(2, TEXT)] = None
    conf_overlay: Annotated[dict[str, str] | None, Wire(3, map_of(TEXT, TEXT))] = None
    run_async: Annotated[bool | None, Wire(4, BOOL)] = None
    query_timeout: Annotated[int | None, Wire(5, I64)] = None
    get_direct_results: Annotated[DirectResultsWanted | None, Wire(1281, struct_of("DirectResultsWanted"))] = None
    can_read_arrow_result: Annotated[bool | None, Wire(1282, BOOL)] = None
    can_download_result: Annotated[bool | None, Wire(1283, BOOL)] = None
    can_decompress_lz4_result: Annotated[bool | None, Wire(1284, BOOL)] = None
    use_arrow_native_types: Annotated[ArrowTypes | None, Wire(1286, struct_of("ArrowTypes"))] = None
    result_row_limit: Annotated[int | None, Wire(1287, I64)] = None
    parameters: Annotated[list[StatementParameter] | None, Wire(1288, list_of(struct_of("StatementParameter")))] = None


@dataclass(slots=True)
class GetOperationStatusReq:
    """How far is it?"""

    operation_handle: Annotated[OperationHandle | None, Wire(1, struct_of("OperationHandle"))] = None
    get_progress_update: Annotated[bool | None, Wire(2, BOOL)] = None


@dataclass(slots=True)
class GetOperationStatusResp:
    """How far it is."""

    status: Annotated[Status | None, Wire(1, struct_of("Status"))] = None
    operation_state: Annotated[int | None, Wire(2, I32)] = None
    sql_state: Annotated[str | None, Wire(3, TEXT)] = None
    error_code: Annotated[int | None, Wire(4, I32)] = None
    error_message: Annotated[str | None, Wire(5, TEXT)] = None
    operation_started: Annotated[int | None, Wire(7, I64)] = None
    operation_completed: Annotated[int | None, Wire(8, I64)] = None
    has_result_set: Annotated[bool | None, Wire(9, BOOL)] = None
    num_modified_rows: Annotated[int | None, Wire(11, I64)] = None
    display_message: Annotated[str | None, Wire(1281, TEXT)] = None
    diagnostic_info: Annotated[str | None, Wire(1282, TEXT)] = None


@dataclass(slots=True)
class OperationReq:
    """A call about one operation: GetResultSetMetadata, CancelOperation, CloseOperation."""

    operation_handle: Annotated[OperationHandle | None, Wire(1, struct_of("OperationHandle"))] = None


@dataclass(slots=True)
class TypeQualifierValue:
    """A part of a type."""

    i32_value: Annotated[int | None, Wire(1, I32)] = None
    string_value: Annotated[str | None, Wire(2, TEXT)] = None


@dataclass(slots=True)
class TypeQualifiers:
    """Precision and scale."""

    qualifiers: Annotated[dict[str, TypeQualifierValue] | None, Wire(1, map_of(TEXT, struct_of("TypeQualifierValue")))] = None


@dataclass(slots=True)
class PrimitiveTypeEntry:
    """A type; nested ones are told by their outermost word only, as the original does."""

    type: Annotated[int | None, Wire(1, I32)] = None
    type_qualifiers: Annotated[TypeQualifiers | None, Wire(2, struct_of("TypeQualifiers"))] = None


@dataclass(slots=True)
class TypeEntry:
    """A type."""

    primitive_entry: Annotated[PrimitiveTypeEntry | None, Wire(1, struct_of("PrimitiveTypeEntry"))] = None


@dataclass(slots=True)
class TypeDesc:
    """The type of a column."""

    types: Annotated[list[TypeEntry] | None, Wire(1, list_of(struct_of("TypeEntry")))] = None


@dataclass(slots=True)
class ColumnDesc:
    """A column; positions begin with 1."""

    column_name: Annotated[str | None, Wire(1, TEXT)] = None
    type_desc: Annotated[TypeDesc | None, Wire(2, struct_of("TypeDesc"))] = None
    position: Annotated[int | None, Wire(3, I32)] = None
    comment: Annotated[str | None, Wire(4, TEXT)] = None


@dataclass(slots=True)
class TableSchema:
    """The columns of a result."""

    columns: Annotated[list[ColumnDesc] | None, Wire(1, list_of(struct_of("ColumnDesc")))] = None


@dataclass(slots=True)
class GetResultSetMetadataResp:
    """What the rows of an operation look like."""

    status: Annotated[Status | None, Wire(1, struct_of("Status"))] = None
    schema: Annotated[TableSchema | None, Wire(2, struct_of("TableSchema"))] = None
    result_format: Annotated[int | None, Wire(1281, I32)] = None
    lz4_compressed: Annotated[bool | None, Wire(1282, BOOL)] = None
    arrow_schema: Annotated[bytes | None, Wire(1283, BINARY)] = None
    is_staging_operation: Annotated[bool | None, Wire(1287, BOOL)] = None


@dataclass(slots=True)
class FetchResultsReq:
    """The next rows."""

    operation_handle: Annotated[OperationHandle | None, Wire(1, struct_of("OperationHandle"))] = None
    orientation: Annotated[int | None, Wire(2, I32)] = None
    max_rows: Annotated[int | None, Wire(3, I64)] = None
    fetch_type: Annotated[int | None, Wire(4, I16)] = None
    max_bytes: Annotated[int | None, Wire(1281, I64)] = None
    start_row_offset: Annotated[int | None, Wire(1282, I64)] = None
    include_result_set_metadata: Annotated[bool | None, Wire(1283, BOOL)] = None


@dataclass(slots=True)
class BoolColumn:
    """Truth values; a bit of `nulls` is 1 where there is none, beginning with the lowest."""

    values: Annotated[list[bool] | None, Wire(1, list_of(BOOL))] = None
    nulls: Annotated[bytes | None, Wire(2, BINARY)] = None


@dataclass(slots=True)
class ByteColumn:
    """Numbers of 8 bits."""

    values: Annotated[list[int] | None, Wire(1, list_of(BYTE))] = None
    nulls: Annotated[bytes | None, Wire(2, BINARY)] = None


@dataclass(slots=True)
class I16Column:
    """Numbers of 16 bits."""

    values: Annotated[list[int] | None, Wire(1, list_of(I16))] = None
    nulls: Annotated[bytes | None, Wire(2, BINARY)] = None


@dataclass(slots=True)
class I32Column:
    """Numbers of 32 bits."""

    values: Annotated[list[int] | None, Wire(1, list_of(I32))] = None
    nulls: Annotated[bytes | None, Wire(2, BINARY)] = None


@dataclass(slots=True)
class I64Column:
    """Numbers of 64 bits."""

    values: Annotated[list[int] | None, Wire(1, list_of(I64))] = None
    nulls: Annotated[bytes | None, Wire(2, BINARY)] = None


@dataclass(slots=True)
class DoubleColumn:
    """Floating-point numbers."""

    values: Annotated[list[float] | None, Wire(1, list_of(DOUBLE))] = None
    nulls: Annotated[bytes | None, Wire(2, BINARY)] = None


@dataclass(slots=True)
class StringColumn:
    """Texts."""

    values: Annotated[list[str] | None, Wire(1, list_of(TEXT))] = None
    nulls: Annotated[bytes | None, Wire(2, BINARY)] = None


@dataclass(slots=True)
class BinaryColumn:
    """Bytes."""

    values: Annotated[list[bytes] | None, Wire(1, list_of(BINARY))] = None
    nulls: Annotated[bytes | None, Wire(2, BINARY)] = None


@dataclass(slots=True)
class Column:
    """Values of one column; exactly one field is there."""

    bool_val: Annotated[BoolColumn | None, Wire(1, struct_of("BoolColumn"))] = None
    byte_val: Annotated[ByteColumn | None, Wire(2, struct_of("ByteColumn"))] = None
    i16_val: Annotated[I16Column | None, Wire(3, struct_of("I16Column"))] = None
    i32_val: Annotated[I32Column | None, Wire(4, struct_of("I32Column"))] = None
    i64_val: Annotated[I64Column | None, Wire(5, struct_of("I64Column"))] = None
    double_val: Annotated[DoubleColumn | None, Wire(6, struct_of("DoubleColumn"))] = None
    string_val: Annotated[StringColumn | None, Wire(7, struct_of("StringColumn"))] = None
    binary_val: Annotated[BinaryColumn | None, Wire(8, struct_of("BinaryColumn"))] = None


@dataclass(slots=True)
class ArrowBatch:
    """One Arrow IPC message without the schema, compressed on its own when the metadata says so."""

    batch: Annotated[bytes | None, Wire(1, BINARY)] = None
    row_count: Annotated[int | None, Wire(2, I64)] = None


@dataclass(slots=True)
class Unserved:
    """A struct of which nothing is read or written here."""


@dataclass(slots=True)
class RowSet:
    """Rows."""

    start_row_offset: Annotated[int | None, Wire(1, I64)] = None
    rows: Annotated[list[Unserved] | None, Wire(2, list_of(struct_of("Unserved")))] = None
    columns: Annotated[list[Column] | None, Wire(3, list_of(struct_of("Column")))] = None
    arrow_batches: Annotated[list[ArrowBatch] | None, Wire(1281, list_of(struct_of("ArrowBatch")))] = None


@dataclass(slots=True)
class FetchResultsResp:
    """The next rows, and whether more follow."""

    status: Annotated[Status | None, Wire(1, struct_of("Status"))] = None
    has_more_rows: Annotated[bool | None, Wire(2, BOOL)] = None
    results: Annotated[RowSet | None, Wire(3, struct_of("RowSet"))] = None
    result_set_metadata: Annotated[GetResultSetMetadataResp | None, Wire(1281, struct_of("GetResultSetMetadataResp"))] = None


@dataclass(slots=True)
class DirectResults:
    """State, metadata and first rows of an operation in one answer."""

    operation_status: Annotated[GetOperationStatusResp | None, Wire(1, struct_of("GetOperationStatusResp"))] = None
    result_set_metadata: Annotated[GetResultSetMetadataResp | None, Wire(2, struct_of("GetResultSetMetadataResp"))] = None
    result_set: Annotated[FetchResultsResp | None, Wire(3, struct_of("FetchResultsResp"))] = None
    close_operation: Annotated[StatusResp | None, Wire(4, struct_of("StatusResp"))] = None


@dataclass(slots=True)
class OperationResp:
    """Answer of ExecuteStatement and of the calls about metadata."""

    status: Annotated[Status | None, Wire(1, struct_of("Status"))] = None
    operation_handle: Annotated[OperationHandle | None, Wire(2, struct_of("OperationHandle"))] = None
    direct_results: Annotated[DirectResults | None, Wire(1281, struct_of("DirectResults"))] = None


@dataclass(slots=True)
class SessionReq:
    """GetCatalogs, GetTypeInfo and GetTableTypes."""

    session_handle: Annotated[SessionHandle | None, Wire(1, struct_of("SessionHandle"))] = None
    get_direct_results: Annotated[DirectResultsWanted | None, Wire(1281, struct_of("DirectResultsWanted"))] = None


@dataclass(slots=True)
class NamedReq:
    """GetSchemas, GetTables, GetColumns and GetFunctions; names are patterns with `%` and `_`.

    The fourth field names a table (GetTables, GetColumns) or a function, the fifth is `types` or a column as the method says.
    """

    session_handle: Annotated[SessionHandle | None, Wire(1, struct_of("SessionHandle"))] = None
    catalog_name: Annotated[str | None, Wire(2, TEXT)] = None
    schema_name: Annotated[str | None, Wire(3, TEXT)] = None
    object_name: Annotated[str | None, Wire(4, TEXT)] = None
    get_direct_results: Annotated[DirectResultsWanted | None, Wire(1281, struct_of("DirectResultsWanted"))] = None


@dataclass(slots=True)
class GetTablesReq(NamedReq):
    """Tables of some types."""

    table_types: Annotated[list[str] | None, Wire(5, list_of(TEXT))] = None


@dataclass(slots=True)
class GetColumnsReq(NamedReq):
    """Columns of tables."""

    column_name: Annotated[str | None, Wire(5, TEXT)] = None


@dataclass(slots=True)
class GetCrossReferenceReq:
    """Foreign keys from one table to another; what is left out is not asked for."""

    session_handle: Annotated[SessionHandle | None, Wire(1, struct_of("SessionHandle"))] = None
    parent_catalog_name: Annotated[str | None, Wire(2, TEXT)] = None
    parent_schema_name: Annotated[str | None, Wire(3, TEXT)] = None
    parent_table_name: Annotated[str | None, Wire(4, TEXT)] = None
    foreign_catalog_name: Annotated[str | None, Wire(5, TEXT)] = None
    foreign_schema_name: Annotated[str | None, Wire(6, TEXT)] = None
    foreign_table_name: Annotated[str | None, Wire(7, TEXT)] = None
    get_direct_results: Annotated[DirectResultsWanted | None, Wire(1281, struct_of("DirectResultsWanted"))] = None


@dataclass(slots=True)
class GetInfoReq:
    """A fact about the server."""

    session_handle: Annotated[SessionHandle | None, Wire(1, struct_of("SessionHandle"))] = None
    info_type: Annotated[int | None, Wire(2, I32)] = None


@dataclass(slots=True)
class GetInfoValue:
    """The fact."""

    string_value: Annotated[str | None, Wire(1, TEXT)] = None
    small_int_value: Annotated[int | None, Wire(2, I16)] = None
    len_value: Annotated[int | None, Wire(6, I64)] = None


@dataclass(slots=True)
class GetInfoResp:
    """The fact."""

    status: Annotated[Status | None, Wire(1, struct_of("Status"))] = None
    info_value: Annotated[GetInfoValue | None, Wire(2, struct_of("GetInfoValue"))] = None
