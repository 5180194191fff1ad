"""One call above a clearance passes once after somebody said so, and never by silence."""

from __future__ import annotations

import threading

import pytest

from insjo.access.errors import AccessDenied, ApprovalNeeded, ApprovalNotFound, FlowBlocked, TooManyApprovals
from insjo.access.service.approvals import PENDING_MAX
from insjo.access.types import AuditFilter, Clearance, Label, Level, Origin, Privilege, Provenance
from insjo.kernel.paging import PageRequest
from tests.support.access import Lake

DESTINATION = "served_model:chat/paid"
PAID = Clearance(DESTINATION, level=Level.INTERNAL, keeps=False)
HASH = "a" * 64


def content(lake: Lake) -> Provenance:
    return Provenance(Label(Level.CONFIDENTIAL, frozenset({"salary"})), (Origin("main.hr.pay", securable_id=lake.pay.id),))


def ask(lake: Lake, asks: str = "steward", content_hash: str = HASH) -> ApprovalNeeded:
    error = lake.access.approvals.ask(lake.anna, content(lake), DESTINATION, "too high", "completion", content_hash, asks)  # type: ignore[arg-type]  # Words of the type.
    assert isinstance(error, ApprovalNeeded)
    return error


def send(lake: Lake, provenance: Provenance | None = None) -> str:
    return lake.access.flows.clear(lake.anna, b"words", provenance or content(lake), PAID, "completion", approved_hash=HASH).destination


def test_a_call_passes_once_after_a_steward_granted_it(lake: Lake) -> None:
    lake.access.clearances.set(lake.admin, PAID)
    error = ask(lake)
    assert error.details["approval_id"] == ask(lake).details["approval_id"], "the same call is asked about once"
    with pytest.raises(FlowBlocked):
        send(lake)
    (waiting,) = lake.access.approvals.list(lake.admin)
    assert (waiting.principal, waiting.state, waiting.may_decide, waiting.origins) == ("anna", "pending", True, ("main.hr.pay",))
    lake.access.approvals.decide(lake.admin, waiting.id, grant=True, note="for the audit of 2026")
    assert send(lake) == DESTINATION
    with pytest.raises(FlowBlocked):
        send(lake)
    assert lake.access.approvals.list(lake.anna)[0].state == "used"
    rows = lake.access.audit.search(lake.admin, AuditFilter(destination=DESTINATION), PageRequest(20)).items
    outcomes = [row.outcome for row in rows if row.action.startswith(("flow", "approval"))]
    assert outcomes == [
        "blocked",
        "approved",
        "changed",
        "blocked",
        "asked",
    ]
    assert "admin approved this call" in next(row.reason for row in rows if row.outcome == "approved")


def test_content_of_a_higher_label_is_not_covered(lake: Lake) -> None:
    lake.access.clearances.set(lake.admin, PAID)
    lake.access.approvals.decide(lake.admin, str(ask(lake).details["approval_id"]), grant=True)
    with pytest.raises(FlowBlocked):
        send(lake, content(lake).join(Provenance(Label(Level.CONFIDENTIAL, frozenset({"health"})))))


def test_nobody_approves_their_own_call_when_a_steward_is_asked(lake: Lake) -> None:
    approval_id = str(ask(lake).details["approval_id"])
    with pytest.raises(AccessDenied):
        lake.access.approvals.decide(lake.anna, approval_id, grant=True)
    assert not lake.access.approvals.list(lake.anna)[0].may_decide


def test_the_caller_approves_when_the_policy_asks_them(lake: Lake) -> None:
    approval_id = str(ask(lake, "user").details["approval_id"])
    assert lake.access.approvals.decide(lake.anna, approval_id, grant=True).state == "granted"
    assert lake.access.approvals.granted(lake.anna, DESTINATION, HASH) is not None
    assert lake.access.approvals.granted(lake.anna, DESTINATION, "b" * 64) is None
    assert lake.access.approvals.granted(lake.bo, DESTINATION, HASH) is None


def test_secret_content_is_never_left_to_the_caller(lake: Lake) -> None:
    secret = Provenance(Label(Level.SECRET))
    error = lake.access.approvals.ask(lake.anna, secret, DESTINATION, "too high", "completion", HASH, "user")
    assert error.details["asks"] == "steward"


def test_whoever_manages_the_data_decides_and_others_see_nothing(lake: Lake) -> None:
    approval_id = str(ask(lake).details["approval_id"])
    assert lake.access.approvals.list(lake.bo) == ()
    with pytest.raises(ApprovalNotFound):
        lake.access.approvals.decide(lake.bo, approval_id, grant=True)
    lake.access.grants.grant(lake.admin, lake.pay.id, "bo", [Privilege.MANAGE])
    assert lake.access.approvals.list(lake.bo)[0].may_decide
    assert lake.access.approvals.decide(lake.bo, approval_id, grant=False).state == "refused"
    with pytest.raises(ApprovalNotFound):
        lake.access.approvals.decide(lake.admin, approval_id, grant=True)


def test_the_names_of_hidden_sources_are_not_told(lake: Lake) -> None:
    error = ask(lake)
    assert "main.hr.pay" not in str(error)
    assert lake.access.approvals.list(lake.anna)[0].origins == ()


def test_questions_of_one_person_are_bounded(lake: Lake) -> None:
    for number in range(PENDING_MAX):
        ask(lake, content_hash=str(number))
    with pytest.raises(TooManyApprovals):
        ask(lake)


def test_two_requests_at_once_share_no_approval(lake: Lake) -> None:
    lake.access.clearances.set(lake.admin, PAID)
    lake.access.approvals.decide(lake.admin, str(ask(lake).details["approval_id"]), grant=True)
    outcomes: list[str] = []

    def work() -> None:
        try:
            outcomes.append(send(lake))
        except FlowBlocked:
            outcomes.append("blocked")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == sorted(["blocked"] * 5 + [DESTINATION])
