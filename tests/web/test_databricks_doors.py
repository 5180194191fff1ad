"""The Databricks doors over plain HTTP: what no official client would send, and how values look on the wire."""

from __future__ import annotations

import contextlib
import decimal
import json
import math
import socket
import struct
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insjo.kernel.limits import BODY_BYTES_MAX, FILE_BYTES_MAX
from insjo.web.databricks.values import column_texts, float_text, timestamp_text, value_text
from insjo.web.signing import LinkRefused, LinkSigner
from tests.support.raw import TIMEOUT_S, Raw, Told
from tests.support.server import RunningServer

ONE_MIB = bytes(1024 * 1024)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raw]:
    with RunningServer(tmp_path_factory.mktemp("doors") / "data", environment={"INSJO_LOCAL_MODELS": "0"}) as server:
        yield Raw(server, server.token())


@pytest.fixture(autouse=True)
def unharmed(request: pytest.FixtureRequest) -> Iterator[None]:
    """After whatever a test sent, the same process answers, and nothing in its log looks like a surprise."""
    if "raw" not in request.fixturenames:
        yield
        return
    raw: Raw = request.getfixturevalue("raw")
    before = len(raw.server.log)
    yield
    assert raw.server.process is not None
    assert raw.server.process.poll() is None, "the server ended"
    assert raw.send("GET", "/health").status == 200
    said = raw.server.log[before:]
    assert "Traceback" not in said, said
    assert "ERROR" not in said, said


@pytest.fixture(scope="module")
def volume(raw: Raw) -> str:
    name = f"raw_{uuid.uuid4().hex[:8]}"
    assert raw.sql(f"CREATE VOLUME main.default.{name}")["status"]["state"] == "SUCCEEDED"
    return f"/Volumes/main/default/{name}"


def names_in(raw: Raw, volume: str) -> list[str]:
    return [each["name"] for each in raw.send("GET", f"/api/2.0/fs/directories{volume}").json()["contents"]]


# --------------------------------------------------------------------------------------------------------------------- bodies

POSTS = (
    "/api/2.0/sql/statements",
    "/api/2.0/sql/warehouses",
    "/api/2.0/sql/sessions",
    "/api/2.0/token/create",
    "/api/2.1/unity-catalog/catalogs",
    "/api/2.1/unity-catalog/schemas",
    "/api/2.1/unity-catalog/tables",
    "/api/2.1/unity-catalog/volumes",
)
BROKEN = {
    "no JSON": b'{"statement": ',
    "no UTF-8": b'{"statement": "\xff", "name": "\xff", "comment": "\xff", "warehouse_id": "\xff"}',
    "a list": b"[1, 2]",
    "a number": b"7",
    "nested too deeply": b'{"statement": ' + b"[" * 200_000,
    "a wrong type": b'{"statement": 1, "name": 2, "comment": 3, "warehouse_id": {}}',
    "half a surrogate": b'{"statement": "\\ud800", "name": "\\ud800", "comment": "\\ud800", "warehouse_id": "\\ud800"}',
}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("what", BROKEN)
def test_a_body_that_is_no_request_is_refused_in_the_form_of_the_door(raw: Raw, path: str, what: str) -> None:
    told = raw.send("POST", path, BROKEN[what])
    assert told.status == 400, told
    assert told.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert told.message
    assert told.json()["details"] == []


@pytest.mark.parametrize("path", ["Users", "Groups"])
def test_scim_refuses_in_the_words_of_scim(raw: Raw, path: str) -> None:
    told = raw.send("POST", f"/api/2.0/preview/scim/v2/{path}", b'{"userName": ')
    assert told.status == 400
    assert told.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert told.json()["status"] == "400"
    assert "JSON" in told.json()["detail"]


def test_the_model_door_refuses_in_the_words_of_openai(raw: Raw) -> None:
    for broken in (b'{"model": ', b"[]", b'{"model": "insjo-chat", "messages": ' + b"[" * 100_000):
        told = raw.send("POST", "/v1/chat/completions", broken)
        assert told.status == 400, told
        assert told.json()["error"]["type"] == "invalid_request_error"


def _announce(raw: Raw, method: str, path: str, size: int) -> Told:
    """Announce a body of this size, and send nothing of it until there is an answer."""
    with contextlib.closing(raw.connect()) as connection:
        connection.putrequest(method, path)
        connection.putheader("authorization", f"Bearer {raw.token}")
        connection.putheader("content-length", str(size))
        connection.endheaders()
        answer = connection.getresponse()
        return Told(answer.status, {}, answer.read())


@pytest.mark.parametrize("path", ["/api/2.0/sql/statements", "/v1/chat/completions", "/v1/embeddings"])
def test_a_body_over_the_limit_is_refused_before_it_is_sent(raw: Raw, path: str) -> None:
    told = _announce(raw, "POST", path, BODY_BYTES_MAX + 1)
    assert told.status == 413, told
    assert b"64 MiB" in told.body


def test_a_body_over_the_limit_that_nobody_announced_is_refused(raw: Raw) -> None:
    with contextlib.closing(raw.connect()) as connection:
        pieces = (ONE_MIB for _ in range(BODY_BYTES_MAX // len(ONE_MIB) + 2))
        connection.request("POST", "/api/2.0/sql/statements", pieces, {"authorization": f"Bearer {raw.token}"}, encode_chunked=True)
        answer = connection.getresponse()
        assert answer.status == 413
        assert json.loads(answer.read())["error_code"] == "REQUEST_TOO_LARGE"


def test_a_whole_body_over_the_limit_gets_its_answer_too(raw: Raw) -> None:
    told = raw.send("POST", "/api/2.0/sql/statements", bytes(BODY_BYTES_MAX + 1))
    assert told.status == 413


def test_a_file_over_the_limit_is_refused_before_it_is_sent(raw: Raw, volume: str) -> None:
    told = _announce(raw, "PUT", f"/api/2.0/fs/files{volume}/huge.bin", FILE_BYTES_MAX + 1)
    assert told.status == 413, told
    assert names_in(raw, volume) == []


def test_a_file_that_one_may_not_write_is_refused_before_it_is_sent(raw: Raw, volume: str) -> None:
    assert _announce(raw, "PUT", "/api/2.0/fs/files/Volumes/main/default/nowhere/x.bin", 10**9).status == 404
    assert raw.send("PUT", f"/api/2.0/fs/files{volume}/once.bin", b"x").status == 204
    assert _announce(raw, "PUT", f"/api/2.0/fs/files{volume}/once.bin", 10**9).status == 409
    assert raw.send("DELETE", f"/api/2.0/fs/files{volume}/once.bin").status == 204


def test_an_upload_that_breaks_off_leaves_nothing(raw: Raw, volume: str) -> None:
    for sent in (0, 1, 3 * 1024 * 1024, 12 * 1024 * 1024):
        connection = raw.connect()
        connection.putrequest("PUT", f"/api/2.0/fs/files{volume}/half.bin")
        connection.putheader("authorization", f"Bearer {raw.token}")
        connection.putheader("content-length", str(16 * 1024 * 1024))
        connection.endheaders()
        connection.send(bytes(sent))
        connection.close()
    assert raw.send("GET", f"/api/2.0/fs/files{volume}/half.bin").status == 404
    assert names_in(raw, volume) == []


def test_bytes_that_are_no_http_end_the_connection_only(raw: Raw) -> None:
    for junk in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), b"GET\r\n\r\n", b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", raw.server.port), timeout=TIMEOUT_S) as connection:
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(4096):
                    pass


# ---------------------------------------------------------------------------------------------------------------------- names


def _hostile(volume: str) -> dict[str, str]:
    return {
        "up": f"/api/2.0/fs/files{volume}/../../../../../../etc/passwd",
        "encoded up": f"/api/2.0/fs/files{volume}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "encoded slashes": f"/api/2.0/fs/files{volume}%2f..%2f..%2f..%2fetc%2fpasswd",
        "twice encoded": f"/api/2.0/fs/files{volume}/%252e%252e/x",
        "NUL": f"/api/2.0/fs/files{volume}/a%00b",
        "newline": f"/api/2.0/fs/files{volume}/a%0ab",
        "no UTF-8": f"/api/2.0/fs/files{volume}/caf%e9",
        "hidden folder": f"/api/2.0/fs/files{volume}/.insjo-uploads/x",
        "too long": f"/api/2.0/fs/files{volume}/{'n' * 300}",
        "outside": "/api/2.0/fs/files/etc/passwd",
        "no volume": "/api/2.0/fs/files/Volumes/main",
    }


def test_no_path_leads_out_of_a_volume(raw: Raw, volume: str) -> None:
    for what, path in _hostile(volume).items():
        if what == "twice encoded":
            continue
        for method in ("PUT", "GET", "HEAD", "DELETE"):
            told = raw.send(method, path, b"evil" if method == "PUT" else None)
            assert told.status in {400, 404}, (what, method, told)
            assert b"root:" not in told.body
    assert names_in(raw, volume) == []
    assert not list(raw.server.data_dir.rglob("passwd"))


def test_a_name_is_decoded_once(raw: Raw, volume: str) -> None:
    path = _hostile(volume)["twice encoded"]
    assert raw.send("PUT", path, b"x").status == 204
    assert names_in(raw, volume) == ["%2e%2e"]
    assert raw.send("DELETE", path).status == 204
    assert raw.send("DELETE", f"/api/2.0/fs/directories{volume}/%252e%252e").status == 204


@pytest.mark.parametrize("name", ["", " ", "a" * 256, "a\x00b", "a/b", "a.b", "a\nb", "å" * 200])
def test_names_that_nobody_can_have(raw: Raw, name: str) -> None:
    for path, body in (
        ("/api/2.1/unity-catalog/catalogs", {"name": name}),
        ("/api/2.1/unity-catalog/schemas", {"name": name, "catalog_name": "main"}),
        ("/api/2.1/unity-catalog/tables", {"name": name, "catalog_name": "main", "schema_name": "default"}),
        ("/api/2.1/unity-catalog/volumes", {"name": name, "catalog_name": "main", "schema_name": "default"}),
    ):
        told = raw.send("POST", path, body)
        if name == "å" * 200:
            assert told.status in {200, 400}, told
        else:
            assert told.status in {400, 404}, (path, told)
    for path, body in (("Users", {"userName": name}), ("Groups", {"displayName": name})):
        told = raw.send("POST", f"/api/2.0/preview/scim/v2/{path}", body)
        assert told.status in {201, 400, 409}, told
        assert told.status == 400 or name in {"a.b", "a\nb", "å" * 200}, "blanks of any kind become one space, and nothing else passes"


def test_numbers_and_tokens_of_pages_that_are_none(raw: Raw) -> None:
    wrong = ("max_results=-1", "max_results=many", "max_results=" + "9" * 5000, "page_token=%00", "page_token=nonsense!", "page_token=%ff")
    for query in wrong:
        told = raw.send("GET", f"/api/2.1/unity-catalog/catalogs?{query}")
        assert told.status == 400, (query, told)
    assert raw.send("GET", "/api/2.1/unity-catalog/catalogs?max_results=99999999999").status == 200


# ----------------------------------------------------------------------------------------------------- tokens, cookies and sites


def test_credentials_that_are_none(raw: Raw) -> None:
    path = "/api/2.0/preview/scim/v2/Me"
    wrong = ("", "Bearer", "Bearer ", "Bearer x", "Bearer insjo_" + "é" * 10, "Bearer " + "x" * 10_000, "Basic %%%", "Basic dG9rZW46eA==")
    for value in (*wrong, "Digest x", "Negotiate abc"):
        told = raw.send("GET", path, authorization=value, cookie="x=y") if value else raw.send("GET", path, cookie="x=y")
        assert told.status == 401, (value, told)
        assert told.json()["error_code"] == "UNAUTHENTICATED"
        assert told.headers["www-authenticate"] == "Bearer"
    assert raw.send("GET", path, authorization=f"bearer   {raw.token}").status == 200
    assert raw.send("GET", path, cookie="insjo_session=s_" + "0" * 64).status == 401


def _session(raw: Raw) -> str:
    made = raw.server.insjo("user", "link", "admin", "--json", "--data", str(raw.server.data_dir))
    link: str = json.loads(made.stdout)["signin_link"]
    told = raw.send("GET", link.partition(str(raw.server.port))[2], cookie="x=y")
    assert told.status == 303, told
    assert raw.send("GET", link.partition(str(raw.server.port))[2], cookie="x=y").status == 401, "a link works once"
    cookie = told.headers["set-cookie"]
    assert {"httponly", "samesite=lax"} <= {part.strip().lower() for part in cookie.split(";")}
    return cookie.split(";")[0]


def test_a_forged_request_does_nothing(raw: Raw) -> None:
    cookie = _session(raw)
    me = "/api/2.0/preview/scim/v2/Me"
    assert raw.send("GET", me, cookie=cookie).status == 200
    own = f"http://127.0.0.1:{raw.server.port}"
    foreign: tuple[dict[str, str], ...] = (
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": f"{own}.evil.example"},
        {"sec_fetch_site": "cross-site", "origin": own},
        {"sec_fetch_site": "same-site"},
    )
    for number, headers in enumerate(foreign):
        told = raw.send("POST", "/api/2.1/unity-catalog/catalogs", {"name": f"forged{number}"}, cookie=cookie, **headers)
        assert told.status == 403, (headers, told)
        assert told.json()["error_code"] == "CROSS_SITE_REQUEST"
        assert raw.send("POST", "/sign-out", b"", cookie=cookie, **headers).status == 403
    assert raw.send("GET", me, cookie=cookie).status == 200, "a forged sign-out ended the session"
    listed = {each["name"] for each in raw.send("GET", "/api/2.1/unity-catalog/catalogs").json()["catalogs"]}
    assert not {name for name in listed if name.startswith("forged")}
    for headers in ({"origin": own}, {"sec_fetch_site": "same-origin"}):
        made = raw.send("POST", "/api/2.0/token/create", {"comment": "mine", "lifetime_seconds": 60}, cookie=cookie, **headers)
        assert made.status == 200, made


def test_broken_forms_are_refused_as_pages(raw: Raw) -> None:
    kinds = {"content_type": "multipart/form-data; boundary=x", "accept": "text/html"}
    own = f"http://127.0.0.1:{raw.server.port}"
    for body in (b"--x\r\nContent-Disposition: form-data", b"--y\r\n\r\n", b"--x\r\n\r\n\r\n--x--", b"\xff" * 1000):
        told = raw.send("POST", "/sign-in", body, cookie="x=y", origin=own, **kinds)
        assert told.status in {400, 401}, told
        assert told.headers["content-type"].startswith("text/html")
    fields = b"&".join(b"a%d=1" % number for number in range(5000))
    told = raw.send("POST", "/sign-in", fields, cookie="x=y", origin=own, content_type="application/x-www-form-urlencoded")
    assert told.status in {400, 413}, told


def test_what_is_not_there_is_501_with_its_name_and_pages_are_404(raw: Raw) -> None:
    for method, path in (("GET", "/api/2.2/jobs/list"), ("POST", "/api/2.0/preview/scim/v2/Me"), ("PUT", "/api/2.0/sql/statements")):
        told = raw.send(method, path)
        assert told.status == 501
        assert told.json()["error_code"] == "NOT_IMPLEMENTED"
        assert f"{method} {path}" in told.message
    assert raw.send("GET", "/no/such/page").status == 404


def test_every_answer_has_the_headers_that_protect_browsers(raw: Raw) -> None:
    for path in ("/health", "/sign-in", "/api/2.0/preview/scim/v2/Me", "/v1/models", "/nothing", "/api/nothing"):
        headers = raw.send("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY", path
        assert headers["x-request-id"], path
        assert "server" not in headers, path


# --------------------------------------------------------------------------------------------------------------------- ranges


def test_ranges_of_files(raw: Raw, volume: str) -> None:
    path = f"/api/2.0/fs/files{volume}/range.txt"
    assert raw.send("PUT", path, b"0123456789").status == 204
    good = {"bytes=0-0": b"0", "bytes=3-5": b"345", "bytes=7-": b"789", "bytes=-2": b"89", "bytes=5-999": b"56789"}
    good["bytes=-99"] = b"0123456789"
    for asked, expected in good.items():
        told = raw.send("GET", path, range=asked)
        assert (told.status, told.body) == (206, expected), asked
        assert told.headers["content-length"] == str(len(expected))
    for asked in ("bytes=10-", "bytes=5-3", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4"):
        assert raw.send("GET", path, range=asked).status == 416, asked
    stamp = raw.send("HEAD", path).headers["last-modified"]
    assert raw.send("GET", path, if_unmodified_since=stamp).status == 200
    assert raw.send("GET", path, if_unmodified_since="Mon, 01 Jan 2024 00:00:00 GMT").status == 412
    assert raw.send("GET", path, if_unmodified_since="yesterday").status == 200
    assert raw.send("DELETE", path).status == 204


# ------------------------------------------------------------------------------------------------------------------- on the wire

MOMENTS = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31, 23, 59, 59, 999999))  # noqa: DTZ001  # Both kinds are meant.


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(width=64)), max_size=30))
def test_doubles_are_written_by_arrow_as_they_are_one_by_one(values: list[float | None]) -> None:
    column = pa.chunked_array([pa.array(values, pa.float64())])
    assert column_texts(column) == [None if value is None else float_text(value) for value in values]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), MOMENTS), max_size=30), st.booleans())
def test_moments_are_written_by_arrow_as_they_are_one_by_one(values: list[datetime | None], zoned: bool) -> None:
    held = [value.replace(tzinfo=UTC) if value is not None and zoned else value for value in values]
    column = pa.chunked_array([pa.array(held, pa.timestamp("us", "UTC" if zoned else None))])
    assert column_texts(column) == [None if value is None else timestamp_text(value) for value in held]


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_read_back_as_it_was(value: float) -> None:
    assert float(float_text(value)) == value


def test_texts_of_values() -> None:
    written: list[tuple[pa.Array, list[str | None]]] = [
        (pa.array([True, None, False]), ["true", None, "false"]),
        (pa.array([decimal.Decimal("0.0000001"), decimal.Decimal("12345.0000000")]), ["0.0000001", "12345.0000000"]),
        (pa.array([b"\x00\xff", b""]), ["AP8=", ""]),
        (pa.array([date(1, 1, 1), date(9999, 12, 31)]), ["0001-01-01", "9999-12-31"]),
        (pa.array([0.1, None, 1e10, math.nan], pa.float32()), ["0.1", None, "1.0E10", "NaN"]),
        (pa.array([1.0, -0.0, 1e-3, 9.99e-4, 1e7, math.inf]), ["1.0", "-0.0", "0.001", "9.99E-4", "1.0E7", "Infinity"]),
        (pa.array([[], [("a", 1.5)], None], pa.map_(pa.string(), pa.float32())), ["{}", '{"a":1.5}', None]),
        (pa.array([[("k", None)]], pa.map_(pa.string(), pa.int32())), ['{"k":null}']),
        (pa.array([{"å": [1, None], "t": datetime(2024, 1, 2, tzinfo=UTC)}]), ['{"å":[1,null],"t":"2024-01-02T00:00:00.000Z"}']),
        (pa.array([[math.nan, math.inf]]), ['["NaN","Infinity"]']),
    ]
    for array, expected in written:
        assert column_texts(pa.chunked_array([array])) == expected
    assert value_text(timedelta(seconds=1)) == "0:00:01"


# ---------------------------------------------------------------------------------------------------------------------- links


def test_a_signed_link_is_for_one_thing_one_person_and_a_time() -> None:
    signer = LinkSigner(struct.pack("<4Q", 1, 2, 3, 4))
    signature = signer.sign("statement/0/CSV", "anna", 1000)
    signer.check("statement/0/CSV", "anna", 1000, signature, now_s=999.0)
    wrong: tuple[Callable[[], None], ...] = (
        lambda: signer.check("statement/1/CSV", "anna", 1000, signature, now_s=999.0),
        lambda: signer.check("statement/0/CSV", "bo", 1000, signature, now_s=999.0),
        lambda: signer.check("statement/0/CSV", "anna", 2000, signature, now_s=999.0),
        lambda: signer.check("statement/0/CSV", "anna", 1000, signature, now_s=1000.5),
        lambda: signer.check("statement/0/CSV", "anna", 1000, "é" * 64, now_s=999.0),
        lambda: LinkSigner(bytes(32)).check("statement/0/CSV", "anna", 1000, signature, now_s=999.0),
    )
    for check in wrong:
        with pytest.raises(LinkRefused):
            check()


def test_a_token_that_ran_statements_ends_with_its_deletion_by_a_command(raw: Raw) -> None:
    """The door remembers whom a token belongs to; the deletion by another process counts at the very next statement."""
    made = json.loads(raw.server.insjo("token", "create", "--user", "admin", "--json", "--data", str(raw.server.data_dir)).stdout)
    other = Raw(raw.server, made["token_value"])
    for number in range(3):
        assert other.rows(f"SELECT {number}") == [[str(number)]]
    raw.server.insjo("token", "delete", made["token_id"], "--data", str(raw.server.data_dir))
    assert other.send("POST", "/api/2.0/sql/statements", {"statement": "SELECT 1", "wait_timeout": "50s"}).status == 401
    assert raw.rows("SELECT 1") == [["1"]]


def test_a_long_answer_is_as_whole_as_a_short_one(raw: Raw) -> None:
    """Short answers are written by the thread of the statement, long ones after it; both hold every row."""
    for count in (1, 2_000, 200_000):
        told = raw.sql(f"SELECT id, repeat('x', 20) AS x FROM range({count}) ORDER BY id")
        assert told["manifest"]["total_row_count"] == count
        first = told["result"]["data_array"]
        assert [row[0] for row in first] == [str(number) for number in range(len(first))]
        assert told["result"]["row_count"] == len(first)
