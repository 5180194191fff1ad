"""What is labelled is all that is sent, and what is sent is what came."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insjo.gateway.errors import ProviderGarbled, RequestInvalid, RequestTooLarge
from insjo.gateway.service.wire import (
    _KNOWN_WORDS,
    DONE,
    EventRelay,
    check_chat,
    read_body,
    read_embeddings,
    read_usage,
    with_model,
    with_usage,
)
from insjo.kernel.limits import BODY_BYTES_MAX

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def texts_in(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in texts_in(item)]
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *texts_in(item))]
    return []


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_every_text_of_a_body_is_collected(body: dict[str, Any]) -> None:
    found = read_body(json.dumps(body).encode())
    assert set(texts_in(body)) - _KNOWN_WORDS <= set(found.texts)
    assert found.fields == body


def test_text_hidden_behind_a_repeated_key_is_collected() -> None:
    body = read_body(b'{"model":"m","messages":[{"role":"user","content":"first","content":"second"}]}')
    assert {"first", "second"} <= set(body.texts)


def test_a_field_of_the_top_level_that_appears_twice_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="`messages` appears twice"):
        read_body(b'{"messages":[{"role":"user","content":"a"}],"model":"m","messages":[]}')
    with pytest.raises(RequestInvalid, match="appears twice"):
        read_body(b'{"model":"m","mod\\u0065l":"n"}')


@pytest.mark.parametrize(
    "raw",
    [b"", b"nonsense", b"[]", b'"text"', b"[" * 100_000, '{"model":"m"}'.encode("utf-16"), b'{"model":"\xff"}', b'{"a":1}{"b":2}'],
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(RequestInvalid):
        read_body(raw)


def test_a_reader_that_failed_is_not_confused_afterwards() -> None:
    with pytest.raises(RequestInvalid):
        read_body(b'{"a":"left over","b":')
    assert read_body(b'{"model":"m"}').texts == ["m"]


def test_a_body_over_the_limit_is_refused() -> None:
    with pytest.raises(RequestTooLarge):
        read_body(b" " * (BODY_BYTES_MAX + 1))


def test_half_a_surrogate_pair_becomes_text_that_can_be_encoded() -> None:
    assert read_body(b'{"content":"a\\ud800b"}').text().encode() == b"a?b"


def test_pictures_are_not_read_as_words_but_encoded_words_are() -> None:
    picture = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(200)).decode()
    words = "data:image/png;base64," + base64.b64encode(b"Kalle Svensson earns 98765 kronor a month and lives in Lund." * 3).decode()
    plain = "data:image/png;base64,KF-12AB34CD and other words"
    found = read_body(json.dumps({"parts": [{"image_url": {"url": each}} for each in (picture, words, plain)]}).encode())
    assert picture not in found.texts
    assert {words, plain} <= set(found.texts)


@pytest.mark.parametrize("messages", [None, [], "hello", ["hello"], [{"content": "hello"}], [{"role": 1}]])
def test_messages_must_be_messages(messages: object) -> None:
    with pytest.raises(RequestInvalid) as caught:
        check_chat(read_body(json.dumps({"model": "m", "messages": messages}).encode()))
    assert str(caught.value.details["param"]).startswith("messages")


@pytest.mark.parametrize(("field", "value"), [("model", 1), ("stream", "yes")])
def test_fields_that_are_acted_on_have_their_type(field: str, value: object) -> None:
    body = read_body(json.dumps({field: value}).encode())
    with pytest.raises(RequestInvalid, match=f"`{field}`"):
        getattr(body, field)


# The model's name


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (b'{"model":"a","x":1.50}', b'{"model":"new","x":1.50}'),
        (b'{ "x" : 1e3 , "model" : "a" }', b'{ "x" : 1e3 , "model" : "new" }'),
        (b'{"model":"a\\"b\\\\","x":[]}', b'{"model":"new","x":[]}'),
        (b'{"x":12345678901234567890}', b'{"model":"new","x":12345678901234567890}'),
        (b"{}", b'{"model":"new"}'),
        (b'\n{"x":1}', b'\n{"model":"new","x":1}'),
    ],
)
def test_only_the_name_of_the_model_changes(raw: bytes, sent: bytes) -> None:
    assert with_model(read_body(raw), "new") == sent


@pytest.mark.parametrize(
    "raw",
    [
        b'{"mod\\u0065l":"a","tools":[{"model":"b"}]}',
        b'{"\\u006dodel":"a"}',
        b'{"tools":[{"required":["model"]}],"model":"a"}',
        b'{"tools":[{"model":"b"}],"model":"a"}',
        b'{"metadata":{"model":"b"}}',
    ],
)
def test_a_hidden_name_of_the_model_changes_too(raw: bytes) -> None:
    wanted = json.loads(raw) | {"model": "new"}
    assert json.loads(with_model(read_body(raw), "new")) == wanted


@given(st.dictionaries(st.text(), json_values, max_size=5), st.text(), st.text(min_size=1))
def test_any_body_keeps_everything_but_the_model(body: dict[str, Any], old: str, new: str) -> None:
    for each in (body, body | {"model": old}):
        for form in (json.dumps(each), json.dumps(each, ensure_ascii=False, indent=1)):
            try:
                raw = form.encode()
            except UnicodeEncodeError:
                continue
            assert json.loads(with_model(read_body(raw), new)) == each | {"model": new}


@pytest.mark.parametrize(
    ("raw", "options"),
    [
        (b'{"model":"m","stream":true}', {"include_usage": True}),
        (b'{"model":"m","stream":true } \n', {"include_usage": True}),
        (b'{"model":"m","stream_options":null}', {"include_usage": True}),
        (b'{"model":"m","stream_options":{"include_usage":false,"other":1}}', {"include_usage": True, "other": 1}),
    ],
)
def test_a_stream_is_asked_for_its_tokens(raw: bytes, options: dict[str, object]) -> None:
    body = read_body(raw)
    assert not body.wants_usage
    assert json.loads(with_usage(body, raw))["stream_options"] == options


# Embeddings


def test_inputs_are_texts() -> None:
    assert read_embeddings(read_body(b'{"input":"a"}')).texts == ("a",)
    found = read_embeddings(read_body(b'{"input":["a","b"],"encoding_format":"base64"}'))
    assert (found.texts, found.base64) == (("a", "b"), True)


@pytest.mark.parametrize("given", [None, "[]", "[1,2]", "[[1,2],[3]]", '["a",1]', "7"])
def test_what_cannot_be_labelled_cannot_be_embedded(given: str | None) -> None:
    raw = b"{}" if given is None else b'{"input":' + given.encode() + b"}"
    with pytest.raises(RequestInvalid, match="`input`"):
        read_embeddings(read_body(raw))


# Answers


def test_tokens_are_read_where_they_are_told() -> None:
    told = read_usage(b'{"usage":{"prompt_tokens":7,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":5}}}')
    assert told is not None
    assert (told.input_tokens, told.output_tokens, told.cached_tokens, told.estimated) == (7, 3, 5, False)
    assert read_usage(b'{"usage":null}') is None
    assert read_usage(b'{"usage":{"prompt_tokens":"many"}}') is None


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"usage":', b"[" * 100_000])
def test_an_answer_that_is_no_object_is_garbled(content: bytes) -> None:
    with pytest.raises(ProviderGarbled):
        read_usage(content)


def event(content: object) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


WORDS = [event({"choices": [{"delta": {"content": word}}]}) for word in ("a", "[DONE]", '"usage":{', "data: [DONE]\n\n")]
TOKENS = event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4}})
STREAM = b"".join([*WORDS, TOKENS, DONE])


def relay(pieces: list[bytes], *, wants_usage: bool = False) -> tuple[bytes, EventRelay]:
    found = EventRelay(wants_usage=wants_usage)
    passed = b"".join([*(found.feed(piece) for piece in pieces), found.finish()])
    return passed, found


@given(st.lists(st.integers(0, len(STREAM)), max_size=12), st.booleans())
def test_a_stream_passes_however_it_is_cut(cuts: list[int], wants_usage: bool) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    passed, found = relay([STREAM[begin:end] for begin, end in pairwise(places)], wants_usage=wants_usage)
    assert passed == b"".join([*WORDS, *([TOKENS] if wants_usage else []), DONE])
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens) == (5, 4)


def test_only_whole_events_are_passed_on() -> None:
    found = EventRelay(wants_usage=True)
    assert found.feed(WORDS[0] + WORDS[1][:9]) == WORDS[0]
    assert found.feed(WORDS[1][9:]) == WORDS[1]


@pytest.mark.parametrize("end", [b"", b"\n", b"data: {}"])
def test_done_is_added_when_the_provider_forgot_it(end: bytes) -> None:
    passed, _ = relay([WORDS[0], end])
    assert passed.startswith(WORDS[0])
    assert passed.endswith(DONE)
    assert passed.count(b"data: [DONE]") == 1


def test_tokens_beside_content_stay() -> None:
    both = event({"choices": [{"delta": {"content": "x"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
    passed, found = relay([both, DONE])
    assert passed == both + DONE
    assert found.usage is not None


def test_lines_that_end_as_on_windows_are_understood() -> None:
    passed, found = relay([STREAM.replace(b"\n", b"\r\n")])
    assert passed.count(b"[DONE]") == STREAM.count(b"[DONE]")
    assert found.usage is not None


def test_an_event_without_an_end_is_garbled() -> None:
    with pytest.raises(ProviderGarbled):
        relay([b"x" * 1024 * 1024] * 6)
