"""Sources are looked at and loaded: formats, encodings, drift, modes, rights, and loads that were interrupted."""

from __future__ import annotations

import codecs
import time
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from insjo.access.errors import AccessDenied
from insjo.catalog.errors import FileNotFound
from insjo.ingest.errors import DriftNotAccepted, LoadInvalid, LoadNotFound
from insjo.ingest.sniffing import form_of
from insjo.ingest.types import DriftKind, LoadSpec, Mode, Source
from insjo.jobs.errors import RunNotFound
from insjo.jobs.types import RunState
from insjo.kernel.errors import InsjoError, NotFound
from tests.support.workbook import workbook
from tests.unit.ingest.conftest import Dock

pytestmark = pytest.mark.slow

PEOPLE = 'id;Full name;born;pay\n1;Åsa;2020-01-02;1,5\n2;"Bo\nB";;2\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_what_a_text_file_is_like_is_found_out(dock: Dock, encoding: str) -> None:
    path = dock.desk.put("people.csv", PEOPLE.encode(encoding))
    found = dock.room.inspections.inspect(dock.desk.ctx, Source(path))
    assert found.source.format == "csv"
    assert found.source.options["delimiter"] == ";"
    assert [(each.name, each.target, each.type_text) for each in found.columns] == [
        ("id", "id", "bigint"),
        ("Full name", "Full_name", "string"),
        ("born", "born", "date"),
        ("pay", "pay", "string"),
    ]
    assert list(found.sample.to_pylist()[0].values())[:3] == [1, "Åsa", date(2020, 1, 2)]
    assert found.sample.column(1)[1].as_py() == "Bo\nB"
    assert found.problems == ()


@pytest.mark.parametrize(
    ("content", "delimiter", "header"),
    [
        (b"a,b\n1,2\n", ",", True),
        (b"1,2\n3,4\n", ",", False),
        (b"a\tb, c\n1\t2, 3\n", "\t", True),
        (b'a|b\n"x|y"|2\n', "|", True),
        (b"name\nx\n", ",", True),
        (b"", ",", True),
        (b'a;b\n1,5;"2,5"\n2,5;3\n', ";", True),
    ],
)
def test_separator_and_header(content: bytes, delimiter: str, header: bool) -> None:
    found = form_of(content)
    assert (found.delimiter, found.header) == (delimiter, header)


def test_a_new_table_with_names_that_a_table_can_have_and_types_that_were_chosen(dock: Dock) -> None:
    path = dock.desk.put("people.csv", PEOPLE)
    run = dock.load(path, types={"id": "string", "Full name": "string"})
    assert (run.state, run.error) == (RunState.SUCCEEDED, "")
    assert dict(run.result) == {"rows": 2, "quarantined": 0, "target": "main.desk.t", "quarantine_table": ""}
    assert dock.desk.rows("SELECT id, Full_name FROM t ORDER BY id") == [("1", "Åsa"), ("2", "Bo\nB")]
    with pytest.raises(LoadInvalid):
        dock.load(path)


@pytest.mark.parametrize("header", ["a,a,A", "a,,b"])
def test_odd_first_lines(dock: Dock, header: str) -> None:
    path = dock.desk.put("odd.csv", f"{header}\nx,2,3\ny,5,6\n")
    run = dock.load(path, options={"header": "true"})
    assert run.error == ""
    assert [row[1:] for row in dock.desk.rows("SELECT * FROM t ORDER BY 2")] == [(2, 3), (5, 6)]


def test_bad_rows_go_to_the_quarantine(dock: Dock) -> None:
    path = dock.desk.put("bad.csv", "id,name\n1,x\nabc,y\n3,z,zz\n4,w\n")
    found = dock.room.inspections.inspect(dock.desk.ctx, Source(path, types={"id": "int"}))
    assert found.problems[0].line in {3, 4}
    run = dock.load(path, types={"id": "int"})
    assert (run.error, run.result["rows"], run.result["quarantined"]) == ("", 2, 2)
    assert dock.desk.rows("SELECT line, row_text FROM t_quarantine ORDER BY line") == [(3, "abc,y"), (4, "3,z,zz")]
    strict = dock.load(path, "main.desk.strict", types={"id": "int"}, quarantine=False)
    assert strict.state is RunState.FAILED
    assert "Line 3" in strict.error
    with pytest.raises(NotFound):
        dock.desk.lake.room.tables.get(dock.desk.ctx, "main.desk.strict")


def test_other_formats(dock: Dock, tmp_path: object) -> None:
    sheet = dock.desk.put("a.xlsx", workbook({"One": [["id", "name"], [1, "x"]], "Two": [["n"], [5]]}))
    assert dock.load(sheet, options={"sheetName": "Two"}).error == ""
    assert dock.desk.rows("SELECT * FROM t") == [(5,)]
    lines = dock.desk.put("a.jsonl", '{"id": 1, "in": {"x": 1}}\n{"id": "no"}\n')
    assert dock.load(lines, "main.desk.j", types={"id": "bigint"}).result["quarantined"] == 1
    whole = dock.desk.put("a.json", '[\n {"id": 1},\n {"id": 2}\n]')
    assert dock.load(whole, "main.desk.w").result["rows"] == 2
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": [1, 2], "tags": [["a"], []]}), sink)
    parquet = dock.desk.put("a.parquet", sink.getvalue().to_pybytes())
    assert dock.load(parquet, "main.desk.p").result["rows"] == 2


def test_drift_is_shown_and_must_be_accepted(dock: Dock) -> None:
    dock.load(dock.desk.put("a.csv", "id,name,old\n1,x,o\n"))
    path = dock.desk.put("b.csv", "id,name,city\n2,y,Lund\nx3,z,Ystad\n")
    found = dock.room.inspections.inspect(dock.desk.ctx, Source(path), "main.desk.t")
    assert {(each.kind, each.column, each.applied) for each in found.drift} == {
        (DriftKind.CHANGED, "id", False),
        (DriftKind.ADDED, "city", True),
        (DriftKind.MISSING, "old", False),
    }
    with pytest.raises(DriftNotAccepted, match="`city` comes"):
        dock.load(path, mode=Mode.APPEND)
    run = dock.load(path, mode=Mode.APPEND, accept_drift=True)
    assert (run.error, run.result["rows"], run.result["quarantined"]) == ("", 1, 1)
    assert dock.desk.rows("SELECT id, name, old, city FROM t ORDER BY id") == [(1, "x", "o", None), (2, "y", None, "Lund")]
    with pytest.raises(DriftNotAccepted, match="`old` goes"):
        dock.load(dock.desk.put("c.csv", "id,name,city\n9,q,Umeå\n"), mode=Mode.REPLACE)
    dock.load(dock.desk.put("c.csv", "id,name,city\nq9,q,Umeå\n"), mode=Mode.REPLACE, accept_drift=True)
    assert dock.desk.rows("SELECT * FROM t") == [("q9", "q", "Umeå")]


def test_merging_by_key_with_other_names(dock: Dock) -> None:
    dock.load(dock.desk.put("a.csv", "The id,name\n1,x\n2,y\n"))
    path = dock.desk.put("b.csv", "The id,name\n2,new\n3,z\nx,w\n")
    run = dock.load(path, mode=Mode.MERGE, keys=("The_id",))
    assert (run.error, run.result["quarantined"]) == ("", 1)
    assert dock.desk.rows("SELECT * FROM t ORDER BY 1") == [(1, "x"), (2, "new"), (3, "z")]
    with pytest.raises(LoadInvalid):
        dock.load(path, mode=Mode.MERGE, keys=("nothing",))


def test_rights_on_the_source_and_the_target(dock: Dock) -> None:
    desk = dock.desk
    path = desk.put("a.csv", "id\n1\n")
    desk.run("CREATE TABLE t (id BIGINT)")
    eva = desk.as_("eva")
    desk.run("GRANT USE CATALOG ON CATALOG main TO eva")
    desk.run("GRANT USE SCHEMA ON SCHEMA desk TO eva")
    with pytest.raises(InsjoError) as hidden:
        dock.room.inspections.inspect(eva.ctx, Source(path))
    assert hidden.value.code == "VOLUME_DOES_NOT_EXIST"
    desk.run("GRANT READ VOLUME ON VOLUME files TO eva")
    with pytest.raises(NotFound):
        dock.room.loads.load(eva.ctx, LoadSpec(Source(path), "main.desk.t", Mode.APPEND))
    desk.run("GRANT SELECT ON TABLE t TO eva")
    with pytest.raises(AccessDenied):
        dock.room.loads.load(eva.ctx, LoadSpec(Source(path), "main.desk.t", Mode.APPEND))
    with pytest.raises(AccessDenied):
        dock.room.loads.load(eva.ctx, LoadSpec(Source(path), "main.desk.new"))
    desk.run("GRANT MODIFY ON TABLE t TO eva")
    run = dock.room.loads.load(eva.ctx, LoadSpec(Source(path), "main.desk.t", Mode.APPEND))
    assert dock.room.loads.wait(eva.ctx, run.id, 60).error == ""
    with pytest.raises(RunNotFound):
        dock.room.loads.get(desk.as_("bo").ctx, run.id)
    other = dock.jobs
    other.register("other", lambda _: None)
    with pytest.raises(LoadNotFound):
        dock.room.loads.get(desk.ctx, other.submit(desk.ctx, "other", {}, title="x").id)


def test_the_table_has_the_label_of_the_file(dock: Dock) -> None:
    from insjo.access.types import Label, Level

    path = dock.desk.put("a.csv", "id\n1\n")
    dock.desk.lake.room.files.set_label(dock.desk.ctx, path, Label(Level.SECRET, frozenset({"salary"}), frozenset({"local"})))
    dock.load(path)
    assert dock.desk.label("SELECT * FROM t") == "secret · salary · local"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.csv", b"", "FAILED_READ_FILE"),
        ("b.parquet", b"PAR1 no", "FAILED_READ_FILE"),
        ("b.xlsx", b"PK no", "FAILED_READ_FILE"),
        ("b.avro", b"Obj\x01no", "FAILED_READ_FILE"),
        ("b.orc", b"ORC", "FAILED_READ_FILE"),
        ("b.json", b"{{{", "FAILED_READ_FILE"),
        ("b.bin", b"\x00\x01", "LOAD_INVALID"),
    ],
)
def test_broken_sources_are_told_and_nothing_is_left(dock: Dock, name: str, content: bytes, code: str) -> None:
    path = dock.desk.put(name, content)
    with pytest.raises(InsjoError) as told:
        dock.load(path)
    assert told.value.code == code
    assert str(dock.desk.lake.root) not in str(told.value)
    assert dock.desk.rows("SHOW TABLES") == []


def test_a_load_that_was_interrupted_is_done_once(dock: Dock) -> None:
    """The queue begins a run again when its server was killed; whatever had been done by then, the rows come once."""
    path = dock.desk.put("a.csv", "id\n1\n2\n")
    run = dock.load(path)

    class Again:
        """The same run, begun again."""

        run_id = run.id
        ctx = dock.desk.ctx
        payload = run.payload

        def progress(self, done: int, total: int, message: str = "") -> None:
            """Nobody looks."""

        def cancelled(self) -> bool:
            return False

        def check(self) -> None:
            """Never stops."""

    dock.room.loads._do(Again())  # What the queue calls.
    assert dock.desk.value("SELECT count(*) FROM t") == 2


def test_sources_that_are_not_there(dock: Dock) -> None:
    with pytest.raises(FileNotFound):
        dock.load("/Volumes/main/desk/files/nothing.csv")
    with pytest.raises(LoadInvalid):
        dock.load(dock.desk.put("a.csv", "id\n1\n"), "t")


def test_a_byte_order_mark_is_no_part_of_a_name(dock: Dock) -> None:
    dock.load(dock.desk.put("a.csv", codecs.BOM_UTF8 + b"id,name\n1,x\n"))
    assert dock.desk.rows("SELECT id FROM t") == [(1,)]
    dock.load(dock.desk.put("a.jsonl", codecs.BOM_UTF8 + b'{"id": 1}\n'), "main.desk.j")
    assert dock.desk.rows("SELECT id FROM j") == [(1,)]


def test_a_load_tells_how_far_it_is(dock: Dock) -> None:
    """The engine tells twice a second, so a load of a moment may end without a word; this one takes a few seconds."""
    rows = 1_500_000
    lines = "\n".join(f"{number},{number * 7},2026-01-02,{'x' * 60}" for number in range(rows))
    path = dock.desk.put("big.csv", f"id,n,day,text\n{lines}\n")
    run = dock.room.loads.load(dock.desk.ctx, LoadSpec(Source(path), "main.desk.t"))
    told: set[tuple[int, int]] = set()
    began_s = time.monotonic()
    while not (run := dock.room.loads.wait(dock.desk.ctx, run.id, 0.05)).state.ended:
        told.add((run.progress_done, run.progress_total))
    assert run.error == ""
    assert run.result["rows"] == rows
    parts = {done for done, total in told if total == 100}  # Per cent.
    assert parts or time.monotonic() - began_s < 3, "a fast machine is done before the engine tells anything"
    assert all(0 <= done <= 100 for done in parts)  # As above.
