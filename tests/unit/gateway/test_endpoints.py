"""Endpoints: who may make them, what they keep and what they forget."""

from __future__ import annotations

from dataclasses import replace

import pytest

from insjo.access.errors import EndpointNotFound, SecurableExists
from insjo.access.types import ALL, METASTORE_ID, Clearance, Level, Privilege
from insjo.gateway.errors import EndpointInvalid
from insjo.gateway.types import EndpointSpec, EndpointState, Policy, ServedKind, ServedModelSpec, Task
from insjo.kernel.context import system_context
from insjo.kernel.errors import PermissionDenied
from insjo.testing.models import EMBEDDING_MODEL, LOCAL_MODEL
from tests.support.gateway import OUTSIDE, Installation

PAID = f"served_model:{OUTSIDE}/paid"


def chat(name: str, *served: ServedModelSpec, **policy: str) -> EndpointSpec:
    return EndpointSpec(name, Task.CHAT, served, Policy(**policy))  # type: ignore[arg-type]  # Wrong words are tested too.


def test_the_packaged_models_are_served_to_everybody_from_the_start(made: Installation) -> None:
    made.gateway.bootstrap()  # A second time changes nothing.
    found = made.gateway.endpoints.list(made.person("anna"))
    assert [(each.name, each.task, each.served[0].model) for each in found] == [
        ("insjo-chat", Task.CHAT, LOCAL_MODEL),
        ("insjo-embed", Task.EMBEDDINGS, EMBEDDING_MODEL),
    ]
    for each in found:
        clearance = each.served[0].clearance
        assert clearance is not None
        assert (clearance.level, clearance.zone, clearance.categories, clearance.keeps) == (Level.SECRET, "local", ALL, False)


def test_an_endpoint_nobody_granted_does_not_exist(made: Installation) -> None:
    made.make_outside()
    anna = made.person("anna")
    with pytest.raises(EndpointNotFound, match="outsid"):
        made.gateway.endpoints.get(anna, "outsid")
    with pytest.raises(EndpointNotFound):
        made.gateway.endpoints.get(anna, OUTSIDE)
    made.grant("anna", OUTSIDE)
    assert made.gateway.endpoints.get(anna, OUTSIDE.upper()).name == OUTSIDE
    with pytest.raises(EndpointNotFound) as caught:
        made.gateway.endpoints.get(anna, "outsidr")
    assert "`outside`" in caught.value.hint


def test_the_key_is_never_shown_and_never_stored_as_it_is(made: Installation) -> None:
    endpoint = made.make_outside()
    assert endpoint.served[0].has_key
    assert "sk-provider-key" not in repr(endpoint)
    assert "sk-provider-key" not in repr(made.served())
    for path in made.folder.rglob("*"):
        if path.is_file():
            assert b"sk-provider-key" not in path.read_bytes(), path


def test_names_are_unique(made: Installation) -> None:
    made.make_outside()
    with pytest.raises(SecurableExists):
        made.make_outside(OUTSIDE.upper())


@pytest.mark.parametrize(
    "spec",
    [
        chat("has space", ServedModelSpec("a", ServedKind.LOCAL, LOCAL_MODEL)),
        chat("none"),
        chat("many", *(ServedModelSpec(f"a{n}", ServedKind.LOCAL, LOCAL_MODEL) for n in range(17))),
        chat("twins", *(ServedModelSpec("a", ServedKind.LOCAL, LOCAL_MODEL) for _ in range(2))),
        chat("embedding", ServedModelSpec("a", ServedKind.EMBEDDING, EMBEDDING_MODEL)),
        chat("nameless", ServedModelSpec("a", ServedKind.LOCAL, "")),
        chat("slash", ServedModelSpec("a/b", ServedKind.LOCAL, LOCAL_MODEL)),
        chat("key", ServedModelSpec("a", ServedKind.LOCAL, LOCAL_MODEL, api_key="x")),
        chat("url", ServedModelSpec("a", ServedKind.LOCAL, LOCAL_MODEL, base_url="http://127.0.0.1/v1")),
        chat("newline", ServedModelSpec("a", ServedKind.OPENAI, "m", "https://api.example.com/v1", "a\r\nb: c")),
        chat("word", ServedModelSpec("a", ServedKind.LOCAL, LOCAL_MODEL), on_conflict="ask"),
        chat("itself", ServedModelSpec("a", ServedKind.LOCAL, LOCAL_MODEL), fallback="itself"),
        chat("task", ServedModelSpec("a", ServedKind.LOCAL, LOCAL_MODEL), fallback="insjo-embed"),
    ],
    ids=lambda spec: spec.name,
)
def test_wrong_descriptions_are_refused_whole(made: Installation, spec: EndpointSpec) -> None:
    with pytest.raises(EndpointInvalid):
        made.gateway.endpoints.create(made.admin, spec)
    assert len(made.gateway.endpoints.list(made.admin)) == 2


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com/v1",
        "file:///etc/passwd",
        "ftp://example.com/v1",
        "http://user:secret@example.com/v1",
        "http://example.com/v1?key=1",
        "http://example.com/v1#x",
        "http://169.254.169.254/latest",
        "http://[fe80::1]/v1",
        "http://0.0.0.0/v1",
        "http://example.com:99999/v1",
        "http://exa mple.com/v1",
        "http://example.com/v1\r\nx: y",
    ],
)
def test_addresses_that_no_provider_has_are_refused(made: Installation, url: str) -> None:
    with pytest.raises(EndpointInvalid):
        made.gateway.endpoints.create(made.admin, chat("x", ServedModelSpec("a", ServedKind.OPENAI, "m", url)))


def test_an_unknown_local_model_gets_a_hint(made: Installation) -> None:
    with pytest.raises(EndpointInvalid) as caught:
        made.gateway.endpoints.create(made.admin, chat("x", ServedModelSpec("a", ServedKind.LOCAL, "recorded-locl")))
    assert caught.value.hint == f"Did you mean `{LOCAL_MODEL}`?"


def test_only_admins_write_down_addresses_and_clearances(made: Installation) -> None:
    builder = made.person("builder")
    with pytest.raises(PermissionDenied):
        made.gateway.endpoints.create(builder, chat("mine", made.local()))
    made.access.grants.grant(made.admin, METASTORE_ID, "builder", [Privilege.CREATE_ENDPOINT])
    with pytest.raises(PermissionDenied, match="address"):
        made.gateway.endpoints.create(builder, chat("mine", replace(made.served(), clearance=None)))
    with pytest.raises(PermissionDenied, match="receive"):
        made.gateway.endpoints.create(builder, chat("mine", replace(made.local(), clearance=Clearance("", level=Level.PUBLIC))))
    mine = made.gateway.endpoints.create(builder, chat("mine", made.local()))
    assert mine.owner == "builder"
    assert mine.served[0].clearance is not None
    assert mine.served[0].clearance.level is Level.SECRET


def test_a_model_elsewhere_that_nobody_cleared_may_receive_public_content_only(made: Installation) -> None:
    endpoint = made.gateway.endpoints.create(made.admin, chat(OUTSIDE, made.served(level=None)))
    assert endpoint.served[0].clearance == Clearance(PAID)


def test_managing_an_endpoint_is_no_way_to_its_key(made: Installation) -> None:
    endpoint = made.make_outside()
    made.grant("manager", OUTSIDE, Privilege.MANAGE)
    manager = made.person("manager")
    spec = EndpointSpec.of(endpoint)
    elsewhere = replace(spec, served=(replace(spec.served[0], base_url="https://evil.example.com/v1"),))
    with pytest.raises(PermissionDenied):
        made.gateway.endpoints.update(manager, OUTSIDE, elsewhere)
    kept = made.gateway.endpoints.update(manager, OUTSIDE, replace(spec, comment="new words"))
    assert (kept.comment, kept.served[0].has_key, kept.updated_by) == ("new words", True, "manager")


def test_a_served_model_that_moves_loses_key_and_clearance(made: Installation) -> None:
    endpoint = made.make_outside(level=Level.CONFIDENTIAL)
    spec = EndpointSpec.of(endpoint)
    moved = made.gateway.endpoints.update(
        made.admin, OUTSIDE, replace(spec, served=(replace(spec.served[0], base_url="https://other.example.com/v1"),))
    )
    assert not moved.served[0].has_key
    assert made.access.clearances.get(PAID).level is Level.PUBLIC


def test_a_removed_key_is_gone_and_a_new_one_replaces_it(made: Installation) -> None:
    spec = EndpointSpec.of(made.make_outside())
    for key, has_key in (("", False), ("sk-other", True), (None, True)):
        found = made.gateway.endpoints.update(made.admin, OUTSIDE, replace(spec, served=(replace(spec.served[0], api_key=key),)))
        assert found.served[0].has_key is has_key
    (sealed,) = made.gateway.endpoints.fetch_keys().values()
    assert made.gateway.endpoints._vault.open(sealed, f"{made.id_of(OUTSIDE)}/paid") == "sk-other"


def test_a_name_that_is_used_again_inherits_nothing(made: Installation) -> None:
    made.make_outside(level=Level.CONFIDENTIAL)
    made.gateway.endpoints.delete(made.admin, OUTSIDE)
    assert made.access.clearances.get(PAID).level is Level.PUBLIC
    assert made.gateway.endpoints.fetch_keys() == {}
    again = made.gateway.endpoints.create(made.admin, chat(OUTSIDE, replace(made.served(level=None), api_key=None)))
    assert (again.served[0].has_key, again.served[0].clearance) == (False, Clearance(PAID))
    spec = EndpointSpec.of(again)
    made.gateway.endpoints.update(made.admin, OUTSIDE, replace(spec, served=(made.local("other"),)))
    assert made.access.clearances.get(PAID).level is Level.PUBLIC


def test_name_and_task_stay(made: Installation) -> None:
    spec = EndpointSpec.of(made.make_outside())
    for wrong in (replace(spec, name="other"), replace(spec, task=Task.EMBEDDINGS)):
        with pytest.raises(EndpointInvalid):
            made.gateway.endpoints.update(made.admin, OUTSIDE, wrong)


def test_a_fallback_must_be_usable_by_whoever_names_it(made: Installation) -> None:
    made.make_outside("expensive")
    made.access.grants.grant(made.admin, METASTORE_ID, made.person("builder").principal.name, [Privilege.CREATE_ENDPOINT])
    with pytest.raises(EndpointNotFound):
        made.gateway.endpoints.create(made.person("builder"), chat("mine", made.local(), fallback="expensive"))


def test_changing_and_removing_needs_manage(made: Installation) -> None:
    spec = EndpointSpec.of(made.make_outside())
    made.grant("anna", OUTSIDE)
    with pytest.raises(PermissionDenied):
        made.gateway.endpoints.update(made.person("anna"), OUTSIDE, spec)
    with pytest.raises(PermissionDenied):
        made.gateway.endpoints.delete(made.person("anna"), OUTSIDE)
    made.gateway.endpoints.delete(made.admin, OUTSIDE)
    with pytest.raises(EndpointNotFound):
        made.gateway.endpoints.get(made.admin, OUTSIDE)


def test_state_tells_what_a_request_would_meet(made: Installation) -> None:
    made.runtime.loading = True
    assert made.gateway.endpoints.get(made.admin, "insjo-chat").state is EndpointState.LOADING
    made.make_outside(more=(made.local(),))
    assert made.gateway.endpoints.get(made.admin, OUTSIDE).state is EndpointState.READY


def test_every_change_is_in_the_audit(made: Installation) -> None:
    endpoint = made.make_outside()
    made.gateway.endpoints.update(made.admin, OUTSIDE, EndpointSpec.of(endpoint))
    made.gateway.endpoints.delete(made.admin, OUTSIDE)
    rows = made.access.audit.search(system_context()).items
    actions = [row.action for row in rows if row.object == OUTSIDE and row.principal == "boss"]
    assert {"endpoint.create", "endpoint.update", "endpoint.delete"} <= set(actions)
