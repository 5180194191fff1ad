"""The law stands in nobody's way: 98 of 100 calls of ordinary office work pass unhindered, beside a lake of labelled people."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from insjo.access.types import Label, Level, Privilege, SecurableKind
from insjo.gateway.types import Policy
from tests.security.legitimate import CITIES, calls
from tests.support.whole import Whole, whole

SHARE_MIN = 0.98
PEOPLE = 1500
GIVEN = ("Anna", "Erik", "Lars", "Maria", "Karin", "Johan", "Sara", "Nils", "Eva", "Per", "Ida", "Olle")
FAMILY = ("Andersson", "Berg", "Lind", "Nyström", "Ek", "Holm", "Sjöberg", "Dahl", "Strand", "Åkesson", "Lund", "Stock")
POLICY = """# Salary policy

The salary review happens every spring. Managers talk with each employee about goals, results and development before the new salary is set.
Travel to customers in Stockholm and Oslo is paid by the company, and the invoice for the hotel is sent to the finance department.
Orders above one hundred thousand kronor are approved by the steering group at its meeting in the first week of the month.
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """People with everything that is known of them, secret plans, and an endpoint elsewhere that takes internal content only."""
    with whole(tmp_path_factory.mktemp("office") / "data", "paid") as here:
        draw = random.Random(7)
        rows = []
        for number in range(PEOPLE):
            name = f"{draw.choice(GIVEN)} {draw.choice(FAMILY)}"
            phone = f"070-{draw.randrange(10**6, 10**7)}"
            mail = f"{name.split(maxsplit=1)[0].lower()}{number}@company.example"
            about = f"{draw.randrange(25, 90) * 1000}, '{phone}', '{mail}', '2026-0{draw.randrange(1, 9)}-11'"
            rows.append(f"({number}, '{name}', '{draw.choice(CITIES)}', {about})")
        here.must(
            "CREATE SCHEMA main.hr",
            f"CREATE TABLE main.hr.people AS SELECT * FROM (VALUES {', '.join(rows)}) AS t(id, name, city, salary, phone, mail, hired)",
            "CREATE VOLUME main.hr.papers",
        )
        here.write("/Volumes/main/hr/papers/salary.md", POLICY.encode())
        here.label(SecurableKind.SCHEMA, "main.hr", Label(Level.CONFIDENTIAL, frozenset({"personal"})))
        here.index("main.hr.papers_index", "/Volumes/main/hr/papers")
        here.recognised()
        here.endpoint("away", here.served("paid"), policy=Policy("block"))
        here.allow("anna", SecurableKind.ENDPOINT, "away", Privilege.EXECUTE)
        yield here


def test_ordinary_work_passes(office: Whole) -> None:
    texts = calls()
    assert len(texts) == len(set(texts)) >= 300
    hindered = []
    outcomes: Counter[str] = Counter()
    for number, text in enumerate(texts):
        if number % 7 == 3:
            body: dict[str, object] = {"model": "away", "input": text}
            told = office.call("anna", "POST", "/v1/responses", body)
        elif number % 7 == 5:
            messages = [
                {"role": "user", "content": texts[number - 1]},
                {"role": "assistant", "content": "Sure."},
                {"role": "user", "content": text},
            ]
            told = office.call("anna", "POST", "/v1/messages", {"model": "away", "max_tokens": 50, "messages": messages})
        else:
            told = office.call("anna", "POST", "/v1/chat/completions", {"model": "away", "messages": [{"role": "user", "content": text}]})
        route = told.headers.get("x-insjo-route", "refused").split(";")[0]
        outcomes[route] += 1
        if told.status != HTTPStatus.OK or route != "direct":
            hindered.append((text, told.text[:300]))
    share = 1 - len(hindered) / len(texts)
    sys.stdout.write(f"\n{len(texts)} calls of ordinary work: {share:.1%} unhindered; {dict(outcomes)}\n")
    assert share >= SHARE_MIN, hindered


def test_what_is_labelled_does_not_pass_there(office: Whole) -> None:
    """The same wall holds back what it is for: without this, the share above would say nothing."""
    rows = office.call(
        "boss", "POST", "/api/2.0/sql/statements", {"statement": "SELECT name, city, phone, mail FROM main.hr.people LIMIT 30"}
    )
    for name, city, phone, mail in rows.json()["result"]["data_array"]:
        message = [{"role": "user", "content": f"Write to {name} in {city}, {phone} or {mail}"}]
        told = office.call("anna", "POST", "/v1/chat/completions", {"model": "away", "messages": message})
        assert told.status == HTTPStatus.FORBIDDEN
    message = [{"role": "user", "content": POLICY}]
    assert office.call("anna", "POST", "/v1/chat/completions", {"model": "away", "messages": message}).status == HTTPStatus.FORBIDDEN
