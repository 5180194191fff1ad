"""The same ways out as in test_escape through the door of the drivers, and what only its protocol lets somebody try."""

from __future__ import annotations

import random
import struct
import urllib.error
import uuid
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice, product
from typing import Any

import pytest

from insjo.web.thrift import messages
from insjo.web.thrift.binary import Kind, MessageKind, Writer
from insjo.web.thrift.door import BODY_BYTES_MAX, METHODS
from insjo.web.thrift.messages import OperationState, StatusCode
from tests.security.conftest import CANARY, Answer, Prisoner, without
from tests.security.test_escape import FUNCTIONS, NASTY, PLACES, STATEMENTS, disguises_of, targets_of
from tests.support.thrift import Driver, answer_of, error_of, message, rows_of

BROKEN_MAX = 300
PATTERNS = (
    *("%", "_%", "%%%", "_" * 20, f"{CANARY[:4]}%", f"%{CANARY[3:9]}%", f"{CANARY}\\_cat", f"{CANARY}%", "k%", "K%", "\\%", "\\", "%\\"),
    *("*", ".*", ".*|x", "a|k.*", "[a-z]%", "{k,l}%", "(?i)k%", "$(id)", "' OR '1'='1", "%' UNION SELECT 1 --", "../%", "%\x00", "", "å%"),
    *("%" * 2000, "_" * 2000, "%_" * 500, f"`{CANARY}_cat`", f'"{CANARY}_cat"', "system", "information_schema", "main"),
)
HANDLE_CALLS = ("GetOperationStatus", "GetResultSetMetadata", "FetchResults", "CancelOperation", "CloseOperation")


@dataclass
class Cell:
    """The prisoner with a driver, which looks at every answer."""

    prisoner: Prisoner
    driver: Driver

    def send(self, body: bytes, attempt: str, sent: str = "") -> Answer:
        """Bytes; whatever comes back tells nothing and breaks nothing."""
        told = self.driver.post(body)
        answer = Answer(told.status, without(told.body, sent), told.headers)
        self.prisoner.told(answer, attempt, sent)
        return Answer(told.status, told.body, told.headers)

    def ask(self, name: str, request: object, wanted: type[Any], attempt: str, sent: str = "") -> Any:  # noqa: ANN401  # Any answer.
        """A call of a method."""
        return answer_of(self.send(message(name, request), attempt, sent).body, name, wanted)

    def state(self, text: str, **more: Any) -> str:  # noqa: ANN401  # Fields of the request.
        """How a statement ended."""
        wanted = messages.DirectResultsWanted(1000, 1_000_000)
        request = messages.ExecuteStatementReq(
            session_handle=self.driver.session, statement=text, get_direct_results=wanted, run_async=False, **more
        )
        told = self.ask("ExecuteStatement", request, messages.OperationResp, text, text)
        if told.direct_results is None:
            assert told.status.status_code == StatusCode.ERROR
            return "ERROR"
        return OperationState(told.direct_results.operation_status.operation_state).name


@pytest.fixture(scope="module")
def cell(prisoner: Prisoner) -> Cell:
    warehouse = prisoner.guarded.admin.call("GET", "/api/2.0/sql/warehouses").json()["warehouses"][0]["id"]
    driver = Driver(prisoner.door.url, prisoner.door.token, warehouse)
    wanted = messages.OpenSessionReq(client_protocol_i64=messages.PROTOCOL_V7, initial_namespace=messages.Namespace("cell", "own"))
    driver.session = driver.call("OpenSession", wanted, messages.OpenSessionResp).session_handle
    return Cell(prisoner, driver)


def test_no_statement_leads_out(cell: Cell) -> None:
    ids = cell.prisoner.guarded.ids
    theirs = f"{ids['catalog']}.{ids['schema']}.{ids['table']}"
    targets = [each for at, each in enumerate(targets_of(cell.prisoner)) if at in {0, 4, 7, 11}]
    attempts = [place.format(target) for place, target in product(PLACES, targets)]
    attempts += [f"SELECT * FROM {name}('/etc/passwd')" for name in FUNCTIONS]
    attempts += [*STATEMENTS, *disguises_of(theirs, f"{CANARY}_col")]
    assert [text for text in attempts if cell.state(text) != "ERROR"] == []
    assert cell.prisoner.guarded.admin.must(f"SELECT * FROM {theirs}")["result"]["data_array"] == [[CANARY, "1"]]


def test_no_value_leaves_its_quotes(cell: Cell) -> None:
    for value in NASTY:
        given = messages.StatementParameter(name="v", type="STRING", value=messages.ParameterValue(string_value=value))
        assert rows_of(cell.driver.execute("SELECT :v", parameters=[given])) == [[value]]
        typed = messages.StatementParameter(name=value, type=value, value=given.value)
        cell.state("SELECT :v", parameters=[typed])
        single = messages.ParameterArgument(value, value)
        for argument in (single, messages.ParameterArgument("INT", None, [single] * 3)):
            cell.state("SELECT :v", parameters=[messages.StatementParameter(name="v", type="ARRAY", arguments=[argument])])
        cell.state("SELECT 1", conf_overlay={value: value})
        cell.state("SELECT * FROM IDENTIFIER(:v)", parameters=[given])
        where = messages.OpenSessionReq(initial_namespace=messages.Namespace(value, value), configuration={value: value})
        cell.ask("OpenSession", where, messages.OpenSessionResp, f"a session in {value}", value)


def test_no_pattern_reveals_a_hidden_name(cell: Cell) -> None:
    session, wanted = cell.driver.session, messages.DirectResultsWanted(10_000, 10_000_000)
    for pattern in PATTERNS:
        named: dict[str, Any] = {"session_handle": session, "get_direct_results": wanted}
        three: dict[str, Any] = {"catalog_name": pattern, "schema_name": pattern, "object_name": pattern}
        cross: dict[str, Any] = {
            f"{side}_{part}_name": pattern for side in ("parent", "foreign") for part in ("catalog", "schema", "table")
        }
        for name, request in (
            ("GetSchemas", messages.NamedReq(**named, catalog_name=pattern)),
            ("GetTables", messages.GetTablesReq(**named, **three)),
            ("GetTables", messages.GetTablesReq(**named, object_name=pattern, table_types=[pattern, "TABLE"])),
            ("GetColumns", messages.GetColumnsReq(**named, column_name=pattern)),
            ("GetColumns", messages.GetColumnsReq(**named, **three, column_name=pattern)),
            ("GetFunctions", messages.NamedReq(**named, **three)),
            ("GetPrimaryKeys", messages.NamedReq(**named, **three)),
            ("GetCrossReference", messages.GetCrossReferenceReq(**named, **cross)),
        ):
            told = cell.ask(name, request, messages.OperationResp, f"{name} {pattern[:50]}", pattern)
            assert CANARY not in str(told).replace(pattern, "")


def test_no_handle_of_another_opens_anything(cell: Cell) -> None:
    admin = Driver(cell.driver.url, cell.prisoner.guarded.admin.token, cell.driver.warehouse_id).open()
    running = admin.execute(f"SELECT '{CANARY}' AS a", get_direct_results=None).operation_handle
    mine = cell.driver.execute("SELECT 1", get_direct_results=None).operation_handle
    assert admin.session is not None
    assert cell.driver.session is not None
    assert running is not None
    assert mine is not None
    theirs, own, session = running.operation_id, mine.operation_id, admin.session.session_id
    assert theirs is not None
    assert own is not None
    assert session is not None
    statement = uuid.UUID(cell.prisoner.guarded.ids["statement_id"]).bytes
    forged = [theirs, messages.HandleIdentifier(theirs.guid, own.secret), messages.HandleIdentifier(own.guid, theirs.secret)]
    forged += [messages.HandleIdentifier(statement, own.secret), session, cell.driver.session.session_id or session]
    forged += [messages.HandleIdentifier(theirs.guid, secret) for secret in (b"", bytes(16), bytes(100_000), theirs.guid)]
    forged += [messages.HandleIdentifier(guid, own.secret) for guid in (b"", bytes(16), b"\xff" * 16, bytes(17), statement[:8])]
    for identifier, name in product(forged, HANDLE_CALLS):
        handle = messages.OperationHandle(identifier, 0, has_result_set=True)
        told = cell.ask(name, messages.OperationReq(handle), METHODS[name].response, name)
        assert told.status.status_code == StatusCode.INVALID_HANDLE, (name, identifier)
    for identifier in forged[:2] + forged[6:]:
        cell.driver.session, kept = messages.SessionHandle(identifier), cell.driver.session
        assert "INVALID_HANDLE" in error_of(cell.driver.execute("SELECT current_user()"))
        cell.driver.session = kept
    for name in ("CloseOperation", "CloseOperation", *HANDLE_CALLS[:4]):
        cell.ask(name, messages.OperationReq(mine), METHODS[name].response, f"{name} once more")
    replayed = cell.driver.fetch(mine)
    assert replayed.status is not None
    assert replayed.status.status_code == StatusCode.INVALID_HANDLE
    assert columns_are_there(admin, running)


def columns_are_there(admin: Driver, handle: messages.OperationHandle) -> bool:
    """Whether the admin's rows can still be read."""
    told = admin.fetch(handle)
    return told.status is not None and told.status.status_code == StatusCode.SUCCESS


def _field(kind: Kind, number: int, content: bytes = b"") -> bytes:
    return struct.pack("!bh", kind, number) + content


def _call(argument: bytes, name: str = "ExecuteStatement") -> bytes:
    """A call whose argument is these bytes."""
    writer = Writer()
    writer.header(name, MessageKind.CALL, 1)
    return writer.content() + argument


def _odd_messages() -> list[bytes]:
    """What no driver sends: lengths that are not true, nesting without end, types that do not exist."""
    struct_1 = _field(Kind.STRUCT, 1)
    lengths = [struct.pack("!i", each) for each in (-1, -(2**31), 2**31 - 1, 2**30, 100_000)]
    odd = [_call(struct_1 + _field(Kind.STRING, 2, each)) for each in lengths]
    odd += [_call(struct_1 + _field(Kind.LIST, 1288, bytes([kind]) + each)) for each in lengths for kind in Kind]
    odd += [_call(struct_1 + _field(Kind.MAP, 3, bytes([11, kind]) + each)) for each in lengths for kind in (11, 12, 0, 99)]
    odd += [_call(struct_1 + _field(kind, 99) * 5000) for kind in (Kind.STRUCT, Kind.LIST, Kind.MAP, Kind.SET)]
    one = struct.pack("!i", 1)
    odd += [_call(struct_1 + _field(kind, 99, (bytes([kind]) + one) * 5000)) for kind in (Kind.LIST, Kind.SET)]
    odd += [_call(struct_1 + _field(Kind.LIST, 1288, b"\x0c" + one + (_field(Kind.LIST, 5) + b"\x0c" + one) * 3000))]
    odd += [_call(struct_1 + _field(Kind.STRING, 2, struct.pack("!i", 4) + b"\xff\xfe\xc0\x80") + bytes(2))]
    odd += [_call(bytes([kind]) * 50) for kind in (1, 5, 7, 9, 16, 127, 255)]
    odd += [_call(b""), _call(bytes(1)), _call(b"", "x" * 100_000), _call(bytes(1), "Nothing\r\nx: y"), _call(bytes(1), "__class__")]
    odd += [struct.pack("!I", 0x80010000 | kind) + struct.pack("!i", 1) + b"x" + bytes(5) for kind in (0, 2, 3, 4, 255)]
    odd += [struct.pack("!i", len("OpenSession")) + b"OpenSession" + bytes(20), b"\x82\x21\x01\x0bOpenSession", b"{}", b"", bytes(1000)]
    return odd


def test_what_no_driver_says_breaks_nothing(cell: Cell) -> None:
    for at, body in enumerate(_odd_messages()):
        answer = cell.send(body, f"odd message {at}: {body[:40]!r}")
        assert answer.status in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}, body[:60]


def test_a_message_that_was_cut_or_changed_breaks_nothing(cell: Cell) -> None:
    wanted = messages.DirectResultsWanted(10, 1000)
    given = messages.StatementParameter(name="v", type="INT", value=messages.ParameterValue(string_value="1"))
    whole = messages.ExecuteStatementReq(
        cell.driver.session, "SELECT :v", {"a": "b"}, run_async=True, get_direct_results=wanted, parameters=[given]
    )
    body = message("ExecuteStatement", whole)
    for end in range(0, len(body), 2):
        assert cell.send(body[:end], f"cut at {end}").status == HTTPStatus.BAD_REQUEST
    chance = random.Random(7)  # The same changes each time.
    for number in range(BROKEN_MAX):
        changed = bytearray(body)
        for _ in range(1 + number % 3):
            changed[chance.randrange(len(changed))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        assert cell.send(bytes(changed), f"change {number}").status in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}


def test_what_is_too_large_is_refused_before_it_costs_anything(cell: Cell) -> None:
    with suppress(urllib.error.URLError):  # It is refused by its announced length, maybe while it is still sent.
        assert cell.send(bytes(BODY_BYTES_MAX + 1), "a large body").status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    struct_1, many = _field(Kind.STRUCT, 1), 3_000_000
    for body in (
        _call(struct_1 + _field(Kind.LIST, 1288, b"\x0c" + struct.pack("!i", many)) + bytes(many)),
        _call(struct_1 + _field(Kind.LIST, 99, b"\x02" + struct.pack("!i", many)) + bytes(many)),
        _call(struct_1 + _field(Kind.BOOL, 99, b"\x01") * (many // 4)),
        _call(struct_1 + _field(Kind.MAP, 3, b"\x0b\x0b" + struct.pack("!i", many // 8)) + bytes(many)),
    ):
        assert cell.send(body, "millions of items").status == HTTPStatus.BAD_REQUEST
    assert cell.state("SELECT 1" + " " * 4_000_000) == "ERROR"


def test_sessions_without_end_end_somewhere(cell: Cell) -> None:
    told = [cell.ask("OpenSession", messages.OpenSessionReq(), messages.OpenSessionResp, "one more session") for _ in range(150)]
    for each in islice((one.session_handle for one in told if one.session_handle), 150):
        cell.ask("CloseSession", messages.CloseSessionReq(each), messages.StatusResp, "close")


def test_after_all_that_the_door_stands(cell: Cell) -> None:
    log = cell.prisoner.guarded.server.log
    assert "Traceback" not in log, log[log.index("Traceback") :][:3000]
    assert "failed inside" not in log
    assert rows_of(cell.driver.execute("SELECT * FROM cell.own.t")) == [[1], ["a"]]
