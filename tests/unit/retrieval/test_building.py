from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from insjo.access.errors import AccessDenied, IndexNotFound, VolumeNotFound
from insjo.access.types import ALL, Clearance, Label, Level, Privilege, SecurableKind
from insjo.gateway.service.cached_vectors import VectorCache
from insjo.gateway.types import EndpointSpec, Policy, ServedKind, ServedModelSpec, Task
from insjo.jobs.types import RunState
from insjo.kernel.context import system_context
from insjo.kernel.errors import Cancelled
from insjo.retrieval.errors import DocumentUnsupported, IndexExists, IndexInvalid, IndexNotBuilt, PassageNotFound
from insjo.retrieval.types import DocumentState, IndexState
from insjo.testing.models import EMBEDDING_MODEL, HashedEmbedding
from tests.support import documents as samples
from tests.support.library import INDEX, SCHEMA, VOLUME, Library, open_library

pytestmark = pytest.mark.slow

SOURCE = "/Volumes/main/docs/files"


def filled(library: Library) -> None:
    for name, content in samples.library().items():
        library.write(name, content)
    library.room.indexes.create(library.admin, INDEX, sources=(VOLUME,))
    library.build()


def test_documents_of_all_kinds_are_found_and_open_at_their_place(library: Library) -> None:
    filled(library)
    index = library.room.indexes.get(library.admin, INDEX)
    assert (index.state, index.documents, index.sources) == (IndexState.READY, 5, (SOURCE,))
    assert index.passages == sum(each.passages for each in library.room.indexes.documents(library.admin, INDEX))
    best = library.search(library.admin, "taxi paid between ten and six")[0]
    assert (best.path, best.page, best.heading, best.title) == (f"{SOURCE}/handbook.pdf", 2, "Travel and expenses", "Staff handbook")
    page = library.room.passages.get(library.admin, INDEX, best.passage_id)
    assert page.text == best.text
    assert page.before.startswith("Every employee")
    assert library.room.passages.get(library.admin, INDEX, page.previous_id).text == page.before
    assert best.link == f"/knowledge/{INDEX}/passages/{best.passage_id}"
    with pytest.raises(PassageNotFound):
        library.room.passages.get(library.admin, INDEX, "nothing")


def test_only_what_changed_is_read_and_embedded_again(tmp_path: Path) -> None:
    embedding = HashedEmbedding()
    with open_library(tmp_path, embedding=embedding) as library:
        filled(library)
        before = {hit.passage_id for hit in library.search(library.admin, "taxi hotel backup lunch", k=50)}
        embedding.seen.clear()
        assert library.build().result["changed"] == 0
        assert embedding.seen == []
        library.lake.room.files.delete(library.admin, f"{SOURCE}/lunch.md")
        library.write("notes.txt", b"The moon is made of gorgonzola.")
        result = library.build().result
        passages = [text for asked in embedding.seen for text in asked.texts if asked.kind == "passage"]
        assert passages == ["The moon is made of gorgonzola."]
        assert (result["documents"], library.room.indexes.get(library.admin, INDEX).documents) == (4, 4)
        after = library.search(library.admin, "taxi hotel backup lunch", k=50)
        assert {hit.path.rsplit("/", 1)[-1] for hit in after} == {"handbook.pdf", "maintenance.docx", "network.html", "notes.txt"}
        assert len({hit.passage_id for hit in after} & before) >= 5


def test_passages_that_did_not_change_keep_their_vectors(tmp_path: Path) -> None:
    embedding = HashedEmbedding()

    def asked() -> list[str]:
        found = [text for each in embedding.seen for text in each.texts if each.kind == "passage"]
        embedding.seen.clear()
        return found

    with open_library(tmp_path, embedding=embedding) as library:
        library.gateway.embeddings._cache = VectorCache(tmp_path / "vectors", 2**22)
        filled(library)
        sections = [f"# Part {part}\n\n" + " ".join(f"word{part}x{number}" for number in range(300)) for part in range(6)]
        library.write("long.md", "\n\n".join(sections).encode())
        library.build()
        whole = [text for text in asked() if "word" in text]
        sections[3] = sections[3].replace("word3x7 ", "gorgonzola ")
        library.write("long.md", "\n\n".join(sections).encode())
        library.build()
        again = asked()
        assert len(whole) > len(again) > 0
        assert all("word3x" in text for text in again)
        library.write("copied.md", "\n\n".join(sections).encode())
        library.build()
        assert asked() == []
        assert library.search(library.admin, "gorgonzola")


def test_a_touched_file_with_the_same_content_is_left_alone(tmp_path: Path) -> None:
    embedding = HashedEmbedding()
    with open_library(tmp_path, embedding=embedding) as library:
        filled(library)
        embedding.seen.clear()
        library.write("lunch.md", samples.library()["lunch.md"])
        library.build()
        assert embedding.seen == []


def test_a_change_of_a_file_brings_the_index_up_to_date_by_itself(library: Library) -> None:
    filled(library)
    library.write("new.md", b"# News\n\nThe xylophone festival is in August.")
    run = library.room.indexes.get(library.admin, INDEX).run_id
    library.wait(library.jobs.get(library.admin, run))
    library.build()
    assert library.search(library.admin, "xylophone")[0].path.endswith("new.md")


def test_documents_that_cannot_be_read_are_named_with_the_reason_and_stop_nothing(library: Library) -> None:
    library.write("broken.pdf", b"%PDF-1.7 nonsense")
    library.write("empty.txt", b"")
    library.write("data.csv", b"a,b")
    library.write("good.txt", b"The answer is forty-two.")
    library.room.indexes.create(library.admin, INDEX, sources=(SOURCE,))
    assert library.build().result["failed"] == 2
    found = {each.name: each for each in library.room.indexes.documents(library.admin, INDEX)}
    assert {name: each.state for name, each in found.items()} == {
        "broken.pdf": DocumentState.FAILED,
        "empty.txt": DocumentState.FAILED,
        "good.txt": DocumentState.INDEXED,
    }
    assert "damaged" in found["broken.pdf"].error
    assert library.search(library.admin, "answer")[0].text == "The answer is forty-two."


def test_a_build_that_is_stopped_keeps_what_it_did_and_goes_on_there(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("insjo.retrieval.service.building.COMMIT_PASSAGES", 1)
    for number in range(6):
        library.write(f"{number}.txt", f"Document number {number} speaks of topic{number}.".encode())
    made = library.room.indexes.create(library.admin, INDEX, sources=(SOURCE,))
    building = library.room.indexes._building

    class StopsAfterThree:
        seen = 0

        def progress(self, done: int, total: int, message: str = "") -> None:
            self.seen = done

        def check(self) -> None:
            if self.seen >= 3:
                raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        building.sync(made.id, StopsAfterThree())
    index = library.room.indexes.get(library.admin, INDEX)
    assert (index.state, index.documents) == (IndexState.READY, 3)
    assert library.search(library.admin, "topic0")[0].path.endswith("0.txt")
    assert library.build().result["changed"] == 3


def test_a_large_build_is_searched_before_it_ends(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("insjo.retrieval.service.building.FIRST_PASSAGES", 2)
    for number in range(9):
        library.write(f"{number}.txt", f"Document number {number} speaks of topic{number}.".encode())
    made = library.room.indexes.create(library.admin, INDEX, sources=(SOURCE,))
    found: list[int] = []

    class Looks:
        def progress(self, done: int, total: int, message: str = "") -> None:
            index = library.room.indexes.get(library.admin, INDEX)
            found.append(index.documents if index.state is IndexState.READY else 0)

        def check(self) -> None:
            if found[-1] >= 2:
                assert library.search(library.admin, "topic1")[0].path.endswith("1.txt")

    library.room.indexes._building.sync(made.id, Looks())
    assert sorted(set(found)) == [0, 2, 4, 8, 9]


def test_lost_derived_files_are_built_again_from_the_table(library: Library, tmp_path: Path) -> None:
    filled(library)
    before = library.search(library.admin, "hotel in Stockholm")
    made = library.room.indexes.get(library.admin, INDEX)
    folder = tmp_path / "indexes" / made.id / "derived"
    (shown,) = folder.glob("*/*/passages.arrow")
    shown.write_bytes(b"damaged")
    library.room.search._derived.forget(folder)
    assert library.search(library.admin, "hotel in Stockholm") == before
    shutil.rmtree(folder)
    library.room.search._derived.forget(folder)
    assert library.search(library.admin, "hotel in Stockholm") == before


def test_an_index_outlives_the_server(tmp_path: Path) -> None:
    with open_library(tmp_path) as library:
        filled(library)
        before = library.search(library.admin, "hotel in Stockholm")
    with open_library(tmp_path) as library:
        assert library.search(library.admin, "hotel in Stockholm") == before


def test_two_indexes_can_be_asked_together(library: Library) -> None:
    library.write("a.txt", b"Apples grow on trees.")
    library.write("b.txt", b"Bananas grow on herbs.", volume=f"{SCHEMA}.more")
    for name, source in ((INDEX, VOLUME), (f"{SCHEMA}.second", f"{SCHEMA}.more")):
        library.room.indexes.create(library.admin, name, sources=(source,))
        library.build(name)
    found = library.run(library.room.search.search(library.admin, [INDEX, f"{SCHEMA}.second"], "bananas herbs apples"))
    assert {hit.index for hit in found} == {INDEX, f"{SCHEMA}.second"}


def test_search_can_be_limited_to_documents(library: Library) -> None:
    filled(library)
    path = f"{SOURCE}/lunch.md"
    found = library.search(library.admin, "hotel in Stockholm", within=[path])
    assert found
    assert {hit.path for hit in found} == {path}
    assert library.search(library.admin, "hotel", within=[f"{SOURCE}/none"]) == []


def test_wrong_descriptions_are_refused(library: Library) -> None:
    library.write("a.txt", b"x")
    create = library.room.indexes.create
    for name, sources in (
        ("main.docs", (VOLUME,)),
        ("main.docs.a/b", (VOLUME,)),
        (INDEX, ()),
        (INDEX, ("/etc",)),
        (INDEX, ("/Volumes/../x/y/z",)),
    ):
        with pytest.raises(IndexInvalid):
            create(library.admin, name, sources=sources)
    with pytest.raises(IndexInvalid, match="makes no vectors"):
        create(library.admin, INDEX, sources=(VOLUME,), embedding_endpoint="insjo-chat")
    with pytest.raises(VolumeNotFound):
        create(library.admin, INDEX, sources=("main.docs.nowhere",))
    create(library.admin, INDEX, sources=(VOLUME,))
    with pytest.raises(IndexExists):
        create(library.admin, INDEX.upper(), sources=(VOLUME,))
    with pytest.raises(IndexNotBuilt):
        library.search(library.admin, "anything")
    with pytest.raises(DocumentUnsupported):
        library.room.indexes.add_document(library.admin, INDEX, library.write("x.csv", b"1"))


def test_deleting_takes_everything_with_it(library: Library, tmp_path: Path) -> None:
    filled(library)
    made = library.room.indexes.get(library.admin, INDEX)
    library.room.indexes.delete(library.admin, INDEX)
    assert library.room.indexes.list(library.admin) == []
    assert not (tmp_path / "indexes" / made.id).exists()
    with pytest.raises(IndexNotFound):
        library.search(library.admin, "hotel")


def test_what_goes_with_its_schema_is_swept(library: Library, tmp_path: Path) -> None:
    filled(library)
    made = library.room.indexes.get(library.admin, INDEX)
    library.lake.access.securables.remove(system_context(), made.id)
    assert library.room.indexes.list(library.admin) == []
    assert library.room.indexes.sweep() == 1
    assert not (tmp_path / "indexes" / made.id).exists()


def test_who_may_not_manage_may_not_build_change_or_delete(library: Library) -> None:
    filled(library)
    reader = library.reader("maja", VOLUME)
    indexes = library.room.indexes
    for call in (
        lambda: indexes.sync(reader, INDEX),
        lambda: indexes.delete(reader, INDEX),
        lambda: indexes.update(reader, INDEX, comment="mine"),
        lambda: indexes.create(reader, f"{SCHEMA}.own", sources=(VOLUME,)),
    ):
        with pytest.raises(AccessDenied):
            call()
    run = indexes.add_document(reader, INDEX, f"{SOURCE}/lunch.md")
    assert library.jobs.wait(library.admin, run.id, 60).state is RunState.SUCCEEDED


def test_confidential_documents_are_known_again_when_somebody_pastes_them(library: Library) -> None:
    salary = Label(Level.CONFIDENTIAL, frozenset({"salary"}))
    text = " ".join(f"The secret sentence number {number} tells what nobody outside may ever hear about it." for number in range(8))
    path = library.write("pay.txt", text.encode())
    library.lake.room.files.set_label(library.admin, path, salary)
    library.room.indexes.create(library.admin, INDEX, sources=(VOLUME,))
    library.build()
    (hit,) = library.search(library.admin, "secret sentence")[:1]
    assert hit.provenance.label.covers(salary)
    assert hit.provenance.origins[0].object == path
    assert library.lake.access.fingerprints.label_text(f"Look: {text[:400]}").label.covers(salary)
    index = library.room.indexes.get(library.admin, INDEX)
    assert library.lake.access.labels.effective(index.id).covers(salary)
    library.lake.room.files.delete(library.admin, path)
    library.build()
    assert not library.lake.access.fingerprints.label_text(f"Look: {text[:400]}").label.covers(salary)


def test_a_label_set_after_indexing_counts_at_once(library: Library) -> None:
    path = library.write("plan.txt", b"The harbour will be sold in spring.")
    library.room.indexes.create(library.admin, INDEX, sources=(VOLUME,))
    library.build()
    library.lake.room.files.set_label(library.admin, path, Label(Level.SECRET))
    assert library.search(library.admin, "harbour")[0].provenance.label.level is Level.SECRET


def test_a_grant_on_the_schema_alone_opens_no_volume(library: Library) -> None:
    filled(library)
    person = library.grant("olle", SecurableKind.CATALOG, "main", Privilege.USE_CATALOG)
    with pytest.raises(IndexNotFound):
        library.search(person, "hotel")


def test_a_document_that_the_embedding_model_may_not_see_stops_no_other(library: Library) -> None:
    secret = library.write("secret.txt", b"The code of the safe is 1931.")
    library.lake.room.files.set_label(library.admin, secret, Label(Level.SECRET))
    library.write("open.txt", b"The canteen opens at eleven.")
    clearance = Clearance("", level=Level.INTERNAL, categories=ALL, zone="any", keeps=False)
    served = ServedModelSpec("small", ServedKind.EMBEDDING, EMBEDDING_MODEL, clearance=clearance)
    library.gateway.endpoints.create(system_context(), EndpointSpec("narrow", Task.EMBEDDINGS, (served,), Policy("block")))
    library.room.indexes.create(library.admin, INDEX, sources=(VOLUME,), embedding_endpoint="narrow")
    assert library.build().result["failed"] == 1
    found = {each.name: each.state for each in library.room.indexes.documents(library.admin, INDEX)}
    assert found == {"open.txt": DocumentState.INDEXED, "secret.txt": DocumentState.FAILED}


def test_why_a_build_failed_is_told_to_those_who_manage_the_index(library: Library) -> None:
    library.write("a.txt", b"Something.")
    made = library.room.indexes.create(library.admin, INDEX, sources=(VOLUME,))
    library.gateway.endpoints.delete(library.admin, "insjo-embed")
    run = library.jobs.wait(library.admin, library.room.indexes.sync(library.admin, INDEX).id, 60)
    assert run.state is RunState.FAILED
    assert "insjo-embed" in library.room.indexes.get(library.admin, INDEX).state_reason
    reason = library.room.indexes.get(library.reader("maja", VOLUME), INDEX).state_reason
    assert reason
    assert "insjo-embed" not in reason
    assert made.state is IndexState.EMPTY
