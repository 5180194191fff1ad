"""Calls at the model door over plain HTTP, so that a test sees every header and every byte."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Answered:
    """What a door answered."""

    status: int
    body: bytes
    headers: dict[str, str]


def post(url: str, token: str, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answered:
    """One call."""
    sent = {"content-type": "application/json", "authorization": f"Bearer {token}", **(headers or {})}
    request = urllib.request.Request(url + path, json.dumps(body, ensure_ascii=False).encode(), sent, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return Answered(answer.status, answer.read(), {key.lower(): value for key, value in answer.headers.items()})
    except urllib.error.HTTPError as error:
        return Answered(error.code, error.read(), {key.lower(): value for key, value in error.headers.items()})


def chat(
    url: str,
    token: str,
    endpoint: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    headers: Mapping[str, str] | None = None,
    **options: object,
) -> Answered:
    """A chat completion."""
    return post(url, token, "/v1/chat/completions", {"model": endpoint, "messages": list(messages), **options}, headers)
