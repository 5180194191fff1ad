"""Row filters, masks, tags, policies and lineage: who may set them, and for whom they hold."""

from __future__ import annotations

import pytest

from insjo.access.errors import (
    AccessDenied,
    DeclassificationNeeded,
    InvalidPolicy,
    InvalidTag,
    PolicyConflict,
    PolicyExists,
    PolicyNotFound,
    PrincipalNotFound,
    ProtectionInUse,
    SecurableNotFound,
    TagNotFound,
)
from insjo.access.policies import MatchColumn, Policy, PolicyKind, condition_of
from insjo.access.protection import Argument
from insjo.access.types import Label, Level, Privilege, Securable, SecurableKind
from tests.support.access import Lake, Turnable

pytestmark = pytest.mark.slow

REGION, PAY = (Argument(column="region"),), (Argument(column="pay"),)


@pytest.fixture
def function(lake: Lake) -> Securable:
    """`main.hr.guard`, which nobody but the admin may see."""
    return lake.access.securables.register(lake.admin, SecurableKind.FUNCTION, "main.hr.guard", lake.hr.id)


def _policy(lake: Lake, function: Securable, **changes: object) -> Policy:
    given = {
        "name": "hide",
        "kind": PolicyKind.COLUMN_MASK,
        "securable_id": lake.main.id,
        "function_id": function.id,
        "to": ("account users",),
        "columns": (MatchColumn("m", "has_tag('pii')"),),
        "on_column": "m",
    }
    return Policy(**{**given, **changes})  # type: ignore[arg-type]  # Fields by name.


def test_a_filter_needs_manage_on_the_table_and_execute_on_the_function(lake: Lake, function: Securable) -> None:
    protections = lake.access.protections
    lake.grant(lake.orders, "anna", Privilege.SELECT)
    with pytest.raises(AccessDenied):
        protections.set_row_filter(lake.anna, lake.orders.id, function.id, REGION)
    with pytest.raises(SecurableNotFound):
        protections.set_row_filter(lake.bo, lake.orders.id, function.id, REGION)
    lake.grant(lake.orders, "anna", Privilege.MANAGE)
    with pytest.raises(SecurableNotFound):
        protections.set_row_filter(lake.anna, lake.orders.id, function.id, REGION)
    lake.grant(lake.main, "anna", Privilege.USE_CATALOG)
    lake.grant(lake.hr, "anna", Privilege.USE_SCHEMA)
    lake.grant(function, "anna", Privilege.EXECUTE)
    protections.set_row_filter(lake.anna, lake.orders.id, function.id, REGION)
    assert protections.of(lake.bo, lake.orders.id).hides_rows
    lake.grant(lake.orders, "bo", Privilege.SELECT)
    with pytest.raises(AccessDenied):
        protections.drop_row_filter(lake.bo, lake.orders.id)


def test_filters_and_masks_hold_for_everybody_and_until_they_are_dropped(lake: Lake, function: Securable) -> None:
    protections = lake.access.protections
    assert not protections.of(lake.admin, lake.pay.id)
    protections.set_row_filter(lake.admin, lake.pay.id, function.id, REGION)
    protections.set_mask(lake.admin, lake.pay.id, "PAY", function.id, PAY)
    found = protections.of(lake.admin, lake.pay.id)
    assert found.filters[0].function_id == function.id
    assert set(found.masks) == {"pay"}
    assert found.columns() == {"region", "pay"}
    assert protections.of(lake.anna, lake.pay.id) == found
    assert protections.drop_mask(lake.admin, lake.pay.id, "pay")
    assert not protections.drop_mask(lake.admin, lake.pay.id, "pay")
    assert protections.drop_row_filter(lake.admin, lake.pay.id)
    assert not protections.of(lake.anna, lake.pay.id)
    actions = [row.action for row in lake.access.audit.search(lake.admin).items]
    assert {"row_filter.set", "mask.set", "mask.drop", "row_filter.drop"} <= set(actions)


def test_what_protects_a_table_is_told_only_with_functions_that_one_may_see(lake: Lake, function: Securable) -> None:
    protections = lake.access.protections
    protections.set_row_filter(lake.admin, lake.orders.id, function.id, REGION)
    lake.grant(lake.orders, "anna", Privilege.SELECT)
    assert not protections.described(lake.anna, lake.orders.id)
    assert protections.list(lake.anna) == []
    lake.grant(function, "anna", Privilege.EXECUTE)
    assert protections.described(lake.anna, lake.orders.id).filters[0].function_name == "main.hr.guard"
    assert [row.full_name for row in protections.list(lake.anna)] == ["main.sales.orders"]
    assert protections.list(lake.bo) == []
    assert protections.explain(lake.bo, lake.orders.id) == ["Rows of which `main.hr.guard(region)` is not true are hidden."]


def test_a_function_that_protects_something_cannot_go(lake: Lake, function: Securable) -> None:
    lake.access.protections.set_row_filter(lake.admin, lake.pay.id, function.id, REGION)
    with pytest.raises(ProtectionInUse):
        lake.access.protections.require_unused(function.id)
    lake.access.protections.drop_row_filter(lake.admin, lake.pay.id)
    lake.access.protections.require_unused(function.id)
    lake.access.policies.put(lake.admin, _policy(lake, function))
    with pytest.raises(ProtectionInUse):
        lake.access.protections.require_unused(function.id)


def test_tags_are_set_all_or_none_and_need_apply_tag(lake: Lake) -> None:
    tags = lake.access.tags
    lake.grant(lake.orders, "anna", Privilege.SELECT)
    with pytest.raises(AccessDenied):
        tags.change(lake.anna, lake.orders.id, {"team": "sales"})
    lake.grant(lake.orders, "anna", Privilege.APPLY_TAG)
    tags.change(lake.anna, lake.orders.id, {"team": "sales", "old": ""})
    tags.change(lake.anna, lake.orders.id, {"pii": "name"}, "Name")
    with pytest.raises(InvalidTag):
        tags.change(lake.anna, lake.orders.id, {"fine": "1", " bad": "1"})
    tags.change(lake.anna, lake.orders.id, {"old": None, "never": None})
    assert [(tag.column, tag.key, tag.value) for tag in tags.of(lake.anna, lake.orders.id)] == [
        ("", "team", "sales"),
        ("name", "pii", "name"),
    ]
    assert tags.get(lake.anna, lake.orders.id, "pii", "NAME").changed_by == "anna"
    with pytest.raises(TagNotFound):
        tags.get(lake.anna, lake.orders.id, "old")
    with pytest.raises(SecurableNotFound):
        tags.of(lake.bo, lake.orders.id)
    assert tags.list(lake.bo, SecurableKind.TABLE) == []
    with pytest.raises(InvalidTag):
        tags.change(lake.admin, lake.orders.id, {f"k{n}": "" for n in range(51)})


def test_labels_are_tags_too(lake: Lake) -> None:
    tags = lake.access.tags
    lake.grant(lake.orders, "anna", Privilege.APPLY_TAG, Privilege.SELECT)
    tags.change(lake.anna, lake.orders.id, {"class.level": "confidential", "class.category.salary": "", "class.zone": "eu"})
    assert lake.access.labels.effective(lake.orders.id).text() == "confidential · salary · eu"
    governed = {tag.key: tag.value for tag in tags.of(lake.anna, lake.orders.id) if tag.governed}
    assert governed == {"class.level": "confidential", "class.category.salary": "", "class.zone": "eu"}
    with pytest.raises(DeclassificationNeeded):
        tags.change(lake.anna, lake.orders.id, {"class.level": None, "kept": "no"})
    assert all(tag.key != "kept" for tag in tags.of(lake.anna, lake.orders.id))
    with pytest.raises(InvalidTag):
        tags.change(lake.admin, lake.orders.id, {"class.colour": "red"})
    tags.change(lake.admin, lake.orders.id, {"class.level": None, "class.category.salary": None, "class.zone": None})
    assert lake.access.labels.own(lake.orders.id) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("has_tag('pii')", True),
        ("hasTag('PII')", False),
        ("has_tag_value('pii', 'name')", True),
        ("has_tag_value('pii','x') OR has_tag('geo')", False),
        ("NOT has_tag('geo') AND (has_tag('pii') OR FALSE)", True),
        ("!has_tag('pii')", False),
        ("has_tag_value('quote', 'it''s')", True),
        ("TRUE", True),
    ],
)
def test_conditions_on_tags(text: str, expected: bool) -> None:
    assert condition_of(text)({"pii": "name", "quote": "it's"}) is expected


@pytest.mark.parametrize(
    "text", ["", "has_tag(pii)", "has_tag('a'", "has_tag('a') has_tag('b')", "drop table x", "(" * 200, "has_tag('a') AND", "1 = 1"]
)
def test_other_conditions_are_refused(text: str) -> None:
    with pytest.raises(InvalidPolicy):
        condition_of(text)


def test_a_policy_masks_the_columns_that_its_condition_matches(lake: Lake, function: Securable) -> None:
    access = lake.access
    access.tags.change(lake.admin, lake.orders.id, {"pii": ""}, "name")
    access.tags.change(lake.admin, lake.orders.id, {"pii": ""}, "mail")
    access.policies.put(lake.admin, _policy(lake, function, exempt=("admins",)))
    listed = ["id", "name", "mail"]
    assert set(access.protections.of(lake.bo, lake.orders.id, listed).masks) == {"name", "mail"}
    assert not access.protections.of(lake.admin, lake.orders.id, listed)
    assert not access.protections.of(lake.bo, lake.pay.id, ["name"])
    access.tags.change(lake.admin, lake.orders.id, {"pii": None}, "mail")
    assert set(access.protections.of(lake.bo, lake.orders.id, listed).masks) == {"name"}
    access.policies.put(lake.admin, _policy(lake, function, columns=(MatchColumn("m", "NOT has_tag('pii')"),)), replaces=True)
    assert set(access.protections.of(lake.bo, lake.orders.id, listed).masks) == {"id", "mail"}
    access.policies.drop(lake.admin, lake.main.id, "hide")
    assert not access.protections.of(lake.bo, lake.orders.id, listed)


def test_a_policy_follows_groups_tags_above_and_labels(lake: Lake, function: Securable) -> None:
    access = lake.access
    inner = access.principals.create_group(lake.admin, "interns")
    access.principals.add_member(lake.admin, lake.analysts.id, inner.id)
    access.principals.add_member(lake.admin, inner.id, lake.bo.principal.id)
    access.tags.change(lake.admin, lake.sales.id, {"region": "eu"})
    rows = {"kind": PolicyKind.ROW_FILTER, "on_column": "", "columns": (), "when": "has_tag_value('region', 'eu')"}
    access.policies.put(lake.admin, _policy(lake, function, name="rows", to=("analysts",), **rows))
    assert access.protections.of(lake.bo, lake.orders.id).hides_rows
    assert not access.protections.of(lake.admin, lake.orders.id).hides_rows
    assert not access.protections.of(lake.bo, lake.pay.id).hides_rows
    access.labels.set(lake.admin, lake.pay.id, Label(Level.SECRET), "salary")
    access.policies.put(lake.admin, _policy(lake, function, columns=(MatchColumn("m", "has_tag_value('class.level', 'secret')"),)))
    assert set(access.protections.of(lake.bo, lake.pay.id, ["salary", "id"]).masks) == {"salary"}


def test_policies_that_contradict_each_other_show_nothing(lake: Lake, function: Securable) -> None:
    access = lake.access
    other = access.securables.register(lake.admin, SecurableKind.FUNCTION, "main.hr.other", lake.hr.id)
    access.tags.change(lake.admin, lake.orders.id, {"pii": ""}, "name")
    access.policies.put(lake.admin, _policy(lake, function))
    access.policies.put(lake.admin, _policy(lake, other, name="second", securable_id=lake.sales.id))
    with pytest.raises(PolicyConflict):
        access.protections.of(lake.bo, lake.orders.id, ["name"])
    access.policies.drop(lake.admin, lake.sales.id, "second")
    access.tags.change(lake.admin, lake.orders.id, {"pii": ""}, "mail")
    two = _policy(lake, function, name="rows", kind=PolicyKind.ROW_FILTER, on_column="", arguments=(Argument(column="m"),))
    access.policies.put(lake.admin, two)
    with pytest.raises(PolicyConflict):
        access.protections.of(lake.bo, lake.orders.id, ["name", "mail"])


def test_policies_are_the_business_of_who_manages_the_object(lake: Lake, function: Securable) -> None:
    policies = lake.access.policies
    lake.grant(lake.sales, "anna", Privilege.USE_SCHEMA)
    with pytest.raises(AccessDenied):
        policies.put(lake.anna, _policy(lake, function, securable_id=lake.sales.id))
    made = policies.put(lake.admin, _policy(lake, function, securable_id=lake.sales.id, comment="c"))
    assert (made.on_name, made.function_name, made.created_by) == ("main.sales", "main.hr.guard", "admin")
    with pytest.raises(AccessDenied):
        policies.list(lake.anna, lake.sales.id)
    with pytest.raises(PolicyExists):
        policies.put(lake.admin, _policy(lake, function, securable_id=lake.sales.id))
    assert [each.name for each in policies.list(lake.admin, lake.orders.id, inherited=True)] == ["hide"]
    assert policies.list(lake.admin, lake.orders.id) == []
    with pytest.raises(PolicyNotFound):
        policies.get(lake.admin, lake.orders.id, "hide")


@pytest.mark.parametrize(
    "changes",
    [
        {"to": ()},
        {"on_column": "x"},
        {"on_column": ""},
        {"arguments": (Argument(column="x"),)},
        {"when": "nonsense"},
        {"columns": (MatchColumn("m", "TRUE"), MatchColumn("M", "TRUE"))},
        {"name": ""},
    ],
)
def test_half_a_policy_is_refused(lake: Lake, function: Securable, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidPolicy):
        lake.access.policies.put(lake.admin, _policy(lake, function, **changes))
    with pytest.raises(PrincipalNotFound):
        lake.access.policies.put(lake.admin, _policy(lake, function, to=("nobody at all",)))
    with pytest.raises(InvalidPolicy):
        lake.access.policies.put(lake.admin, _policy(lake, function, securable_id=lake.warehouse.id))


def test_lineage_is_told_to_those_who_see_both_ends(lake: Lake, clock: Turnable) -> None:
    lineage = lake.access.lineage
    lineage.record(lake.admin, lake.orders.id, [lake.pay.id], {"Total": [(lake.pay.id, "Salary")]}, "INSERT")
    assert [(edge.source, edge.kind, edge.by) for edge in lineage.sources(lake.admin, lake.orders.id)] == [
        ("main.hr.pay", "INSERT", "admin")
    ]
    (edge,) = lineage.targets(lake.admin, lake.pay.id, "SALARY")
    assert (edge.source_column, edge.target, edge.target_column) == ("salary", "main.sales.orders", "total")
    lake.grant(lake.orders, "anna", Privilege.SELECT)
    assert lineage.sources(lake.anna, lake.orders.id) == []
    assert lineage.all(lake.anna, columns=True) == []
    with pytest.raises(SecurableNotFound):
        lineage.targets(lake.anna, lake.pay.id)
    before = edge.at
    clock.turn(60)
    lineage.record(lake.admin, lake.orders.id, [lake.pay.id], {"Total": [(lake.pay.id, "Salary")]}, "INSERT")
    assert lineage.sources(lake.admin, lake.orders.id)[0].at == before
    clock.turn(600)
    lineage.record(lake.admin, lake.orders.id, [lake.pay.id], {"Total": [(lake.pay.id, "Salary")]}, "INSERT")
    assert lineage.sources(lake.admin, lake.orders.id)[0].at > before
    lineage.record(lake.admin, lake.orders.id, [], {}, "CREATE VIEW", replaces=True)
    assert lineage.all(lake.admin, columns=False) == []
