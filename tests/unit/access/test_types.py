"""Labels form a lattice; words parse in every spelling."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insjo.access.errors import InvalidLabel, UnknownPrivilege, UnknownSecurableKind
from insjo.access.types import (
    CREATE_PRIVILEGE,
    GRANTABLE,
    PARENT_KIND,
    PUBLIC,
    UNLABELLED,
    Cleared,
    Label,
    Level,
    Origin,
    Privilege,
    Provenance,
    SecurableKind,
    join_all,
    provenance_of,
)

labels = st.builds(
    Label,
    st.sampled_from(Level),
    st.frozensets(st.sampled_from(["personal", "health", "salary", "Credential", "två ord"]), max_size=4),
    st.sampled_from([frozenset({"local"}), frozenset({"eu"}), frozenset({"any"}), frozenset({"local", "eu"})]),
)
origins = st.builds(Origin, st.sampled_from("abc"), st.none() | st.integers(0, 3), st.none() | st.sampled_from("xy"))
provenances = st.builds(Provenance, labels, st.lists(origins, max_size=4, unique=True).map(tuple))


@given(labels, labels, labels)
def test_join_is_associative_commutative_and_idempotent(one: Label, two: Label, three: Label) -> None:
    assert one.join(two).join(three) == one.join(two.join(three))
    assert one.join(two) == two.join(one)
    assert one.join(one) == one
    assert one.join(PUBLIC) == one


@given(labels, labels)
def test_a_join_is_the_least_label_that_covers_both(one: Label, two: Label) -> None:
    joined = one.join(two)
    assert joined.covers(one)
    assert joined.covers(two)
    assert one.covers(two) == (one.join(two) == one)


@given(labels, labels, labels)
def test_join_never_lets_a_label_fall(one: Label, two: Label, three: Label) -> None:
    if one.covers(two):
        assert one.join(three).covers(two.join(three))


@given(labels)
def test_a_label_survives_json(label: Label) -> None:
    assert Label.from_json(json.loads(json.dumps(label.as_json()))) == label


@given(provenances, provenances, provenances)
def test_provenance_joins_labels_and_keeps_each_origin_once(one: Provenance, two: Provenance, three: Provenance) -> None:
    joined = one.join(two).join(three)
    assert joined.label == one.join(two.join(three)).label
    assert set(joined.origins) == {*one.origins, *two.origins, *three.origins}
    assert len(set(joined.origins)) == len(joined.origins)
    assert provenance_of([one, two, three]) == joined


def test_zones_are_closed_downwards_and_join_to_the_narrowest() -> None:
    anywhere, europe, here = (
        Label(Level.INTERNAL),
        Label(Level.INTERNAL, zones=frozenset({"eu"})),
        Label(Level.INTERNAL, zones=frozenset({"local"})),
    )
    assert europe.zones == {"local", "eu"}
    assert anywhere.join(europe).zone == "eu"
    assert europe.join(here).zone == "local"


def test_a_label_in_words() -> None:
    label = Label(Level.CONFIDENTIAL, frozenset({"Salary", " personal "}), frozenset({"local"}))
    assert label.text() == "confidential · personal · salary · local"
    assert UNLABELLED.text() == "internal"


def test_nothing_labelled_joins_to_public() -> None:
    assert join_all([]) == PUBLIC
    assert provenance_of([]) == Provenance(PUBLIC)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"level": "top"},
        {"level": 2},
        {"level": "secret", "categories": "salary"},
        {"level": "secret", "zone": "moon"},
        {"level": "secret", "categories": ["a·b"]},
        {"level": "secret", "categories": [str(number) for number in range(33)]},
        {"level": "secret", "zones": ["local", "moon"]},
    ],
)
def test_wrong_labels_are_refused(value: dict[str, object]) -> None:
    with pytest.raises(InvalidLabel):
        Label.from_json(value)


def test_privileges_and_kinds_parse_in_both_spellings() -> None:
    assert Privilege.parse("use catalog") is Privilege.USE_CATALOG
    assert Privilege.parse("USE_CATALOG") is Privilege.USE_CATALOG
    assert Privilege.parse("ALL PRIVILEGES") is Privilege.ALL_PRIVILEGES
    assert Privilege.parse("CREATE VIEW") is Privilege.CREATE_TABLE
    assert Privilege.READ_VOLUME.words == "READ VOLUME"
    assert SecurableKind.parse("view") is SecurableKind.TABLE
    assert SecurableKind.parse("registered_model") is SecurableKind.MODEL
    with pytest.raises(UnknownPrivilege, match="Did you mean `SELECT`"):
        Privilege.parse("SELCT")
    with pytest.raises(UnknownSecurableKind, match="Did you mean `TABLE`"):
        SecurableKind.parse("tabel")


def test_every_kind_has_privileges_a_parent_and_a_privilege_to_create_it() -> None:
    assert set(GRANTABLE) == set(SecurableKind)
    assert set(PARENT_KIND) == set(CREATE_PRIVILEGE) == set(SecurableKind) - {SecurableKind.METASTORE}
    for kind, privilege in CREATE_PRIVILEGE.items():
        assert privilege in GRANTABLE[PARENT_KIND[kind]]
        assert GRANTABLE[kind] - {Privilege.USE_CATALOG, Privilege.CREATE_SCHEMA} <= GRANTABLE[SecurableKind.SCHEMA]


def test_nobody_makes_or_changes_a_cleared_value_without_the_key() -> None:
    from insjo.access.types import _CLEARING

    with pytest.raises(TypeError):
        Cleared(b"x", Provenance(PUBLIC), "somewhere", "1", key=object())
    cleared = Cleared(b"secret bytes", Provenance(PUBLIC), "somewhere", "1", key=_CLEARING)
    with pytest.raises(AttributeError):
        cleared.content = b"other"
    with pytest.raises(TypeError):
        pickle.dumps(cleared)
    with pytest.raises(TypeError):
        copy.copy(cleared)
    with pytest.raises(TypeError):
        type("Forged", (Cleared,), {})
    assert "secret bytes" not in repr(cleared)
