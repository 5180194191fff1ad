"""What may leave, and that nothing leaves uncleared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insjo.access.errors import AccessDenied, FlowBlocked
from insjo.access.service.facade import Access
from insjo.access.service.flow import may_flow
from insjo.access.types import (
    ALL,
    PUBLIC,
    ZONES,
    AuditFilter,
    Clearance,
    Label,
    Level,
    Origin,
    Privilege,
    Provenance,
)
from insjo.kernel.errors import InvalidArgument
from tests.support.access import Lake
from tests.unit.access.test_types import labels

LOCAL = Clearance("served_model:chat/local", Level.SECRET, ALL, "local", keeps=False)
PAID = Clearance("served_model:chat/paid", Level.INTERNAL, frozenset(), "eu", keeps=True)
SALARY = Label(Level.CONFIDENTIAL, frozenset({"salary"}))

clearances = st.builds(
    Clearance,
    st.just("tool:x"),
    st.sampled_from(Level),
    st.just(ALL) | st.frozensets(st.sampled_from(["personal", "health", "salary", "credential", "två ord"])),
    st.sampled_from(ZONES),
    st.booleans(),
    st.booleans(),
)


@given(labels, labels, clearances)
def test_joined_content_flows_only_where_both_parts_may(one: Label, two: Label, clearance: Clearance) -> None:
    both = may_flow(one.join(two), clearance).allowed
    assert both == (may_flow(one, clearance).allowed and may_flow(two, clearance).allowed)


@given(labels, labels, clearances)
def test_what_is_stricter_never_flows_further(one: Label, two: Label, clearance: Clearance) -> None:
    if one.covers(two) and may_flow(one, clearance).allowed:
        assert may_flow(two, clearance).allowed


@given(clearances)
def test_public_content_may_go_anywhere(clearance: Clearance) -> None:
    assert may_flow(PUBLIC, clearance).allowed


@pytest.mark.parametrize(
    ("label", "clearance", "reason"),
    [
        (SALARY, LOCAL, ""),
        (Label(Level.INTERNAL), PAID, ""),
        (SALARY, PAID, "cleared for internal"),
        (Label(Level.INTERNAL, frozenset({"health"})), PAID, "not cleared for health"),
        (Label(Level.INTERNAL, zones=frozenset({"local"})), PAID, "must stay in this machine"),
        (Label(Level.INTERNAL, zones=frozenset({"eu"})), Clearance("x", Level.SECRET, ALL, "any", keeps=False), "must stay in zone eu"),
        (Label(Level.INTERNAL), Clearance("x", Level.SECRET, ALL, "eu", keeps=False, trains=True), "trains on what it receives"),
        (Label(Level.SECRET), Clearance("x", Level.SECRET, ALL, "eu", keeps=True), "keeps what it receives"),
        (Label(Level.INTERNAL), Clearance("x"), "cleared for public"),
    ],
)
def test_may_flow_tells_why_not(label: Label, clearance: Clearance, reason: str) -> None:
    decision = may_flow(label, clearance)
    assert decision.allowed == (not reason)
    assert reason in decision.reason


def test_a_destination_that_nobody_cleared_gets_public_content_only(lake: Lake) -> None:
    assert lake.access.clearances.get("tool:unknown") == Clearance(
        "tool:unknown", Level.PUBLIC, frozenset(), "any", keeps=True, trains=False
    )


def test_clearances_are_set_by_admins_and_seen_at_once(lake: Lake, open_access: Callable[[], Access]) -> None:
    other = open_access()
    assert other.clearances.get(LOCAL.destination).level == Level.PUBLIC
    with pytest.raises(AccessDenied):
        lake.access.clearances.set(lake.anna, LOCAL)
    lake.access.clearances.set(lake.admin, LOCAL)
    assert lake.access.clearances.get(LOCAL.destination) == LOCAL
    other.refresh_revision()
    assert other.clearances.get(LOCAL.destination) == LOCAL
    lake.access.clearances.set(lake.admin, PAID)
    assert lake.access.clearances.list(lake.admin) == (LOCAL, PAID)
    with pytest.raises(AccessDenied):
        lake.access.clearances.list(lake.anna)
    lake.access.clearances.remove(lake.admin, LOCAL.destination)
    lake.access.clearances.remove(lake.admin, LOCAL.destination)
    assert lake.access.clearances.get(LOCAL.destination).level == Level.PUBLIC
    with pytest.raises(InvalidArgument):
        lake.access.clearances.set(lake.admin, Clearance(""))


def test_cleared_content_is_recorded_with_its_hash_and_not_its_words(lake: Lake) -> None:
    lake.access.clearances.set(lake.admin, LOCAL)
    provenance = Provenance(SALARY, (Origin("main.hr.pay", 3, "amount", lake.pay.id),))
    cleared = lake.access.flows.clear(lake.anna, b"Anna earns 1", provenance, LOCAL, "completion")
    assert (cleared.content, cleared.provenance, cleared.destination) == (b"Anna earns 1", provenance, LOCAL.destination)
    (row,) = lake.access.audit.search(lake.admin, AuditFilter(action="flow.completion")).items
    assert (row.outcome, row.label, row.destination, row.origins) == (
        "allowed",
        "confidential · salary",
        LOCAL.destination,
        ("main.hr.pay@3.amount",),
    )
    assert len(row.content_hash) == 64
    assert "earns" not in repr(row)


def test_a_clearance_that_the_caller_invents_opens_nothing(lake: Lake) -> None:
    with pytest.raises(FlowBlocked):
        lake.access.flows.clear(lake.anna, b"x", Provenance(SALARY), LOCAL, "completion")
    lake.access.clearances.set(lake.admin, LOCAL)
    stricter = Clearance(LOCAL.destination, Level.PUBLIC)
    with pytest.raises(FlowBlocked):
        lake.access.flows.clear(lake.anna, b"x", Provenance(SALARY), stricter, "completion")


def test_a_refusal_names_only_what_the_caller_may_browse(lake: Lake) -> None:
    lake.access.clearances.set(lake.admin, PAID)
    lake.grant(lake.orders, "anna", Privilege.BROWSE)
    origins = (
        Origin("main.sales.orders", securable_id=lake.orders.id),
        Origin("main.hr.pay", securable_id=lake.pay.id),
        Origin("forgotten.its.identifier"),
        Origin("detected:iban"),
    )
    with pytest.raises(FlowBlocked) as blocked:
        lake.access.flows.clear(lake.anna, b"x", Provenance(SALARY, origins), PAID, "completion")
    assert blocked.value.details["origins"] == ["main.sales.orders", "detected:iban"]
    assert "pay" not in str(blocked.value)
    assert "forgotten" not in str(blocked.value)
    assert blocked.value.code == "FLOW_BLOCKED"
    (row,) = lake.access.audit.search(lake.admin, AuditFilter(outcome="blocked")).items
    assert "main.hr.pay" in row.origins


def test_only_the_flow_service_knows_the_key_of_cleared_values(repository: Path) -> None:
    users = {
        path.relative_to(repository / "src").as_posix()
        for path in (repository / "src").rglob("*.py")
        if "_CLEARING" in path.read_text(encoding="utf-8")
    }
    assert users == {"insjo/access/types.py", "insjo/access/service/flow.py"}
