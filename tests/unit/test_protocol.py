"""Lines of the control socket: whatever comes in, what goes out is as ever."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devrun.control.protocol import VERSION, RefusedError, StatusAsked, answer, parse, refusal


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (b'{"v": 1, "ask": "status"}', StatusAsked()),
        (b'{"v":1,"ask":"status","verbose":true}\r', StatusAsked(verbose=True)),
        (b'{"v":1,"ask":"status","verbose":false,"newer":[1]}', StatusAsked()),
    ],
)
def test_requests(line: bytes, request_: StatusAsked) -> None:
    assert parse(line) == request_


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (b"status", "bad-request", "expected a JSON object on one line, found status"),
        (b"", "bad-request", "expected a JSON object on one line, found "),
        (b"[1]", "bad-request", "expected a JSON object on one line, found [1]"),
        (b'{"v":1', "bad-request", 'expected a JSON object on one line, found {"v":1'),
        (b"\xff\x1b[2J", "bad-request", "expected a JSON object on one line, found \ufffd?[2J"),
        (b"{" * 100, "bad-request", f"expected a JSON object on one line, found {'{' * 60}..."),
        (b"[" * 60000, "bad-request", f"expected a JSON object on one line, found {'[' * 60}..."),
        (b"{}", "unknown-version", 'expected "v": 1, found null'),
        (b'{"v":true,"ask":"status"}', "unknown-version", 'expected "v": 1, found true'),
        (b'{"v":2,"ask":"status"}', "unknown-version", 'expected "v": 1, found 2'),
        (b'{"v":1,"ask":"stauts"}', "unknown-request", 'expected "ask": "status", found "stauts"'),
        (b'{"v":1,"ask":{"a":"\\ud800"}}', "unknown-request", 'expected "ask": "status", found {"a": "\\ud800"}'),
        (b'{"v":1,"ask":"status","verbose":1}', "bad-request", 'expected a boolean for "verbose", found 1'),
    ],
)
def test_what_is_no_request_is_refused(line: bytes, code: str, message: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse(line)
    assert (refused.value.code, refused.value.message) == (code, message)


def test_answers() -> None:
    assert answer(StatusAsked(), {"v": 1, "stack": "sh\u00f6p\udcff"}) == (
        b'{"v":1,"answer":"status","data":{"v":1,"stack":"sh\\u00f6p\\udcff"}}\n'
    )
    assert refusal(RefusedError("busy", "later")) == b'{"v":1,"error":"busy","message":"later"}\n'


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["v", "ask", "verbose"]) | st.text(), inner),
)


@given(st.binary() | documents.map(lambda document: json.dumps(document).encode()))
def test_whatever_comes_is_a_request_or_refused_on_one_line(line: bytes) -> None:
    try:
        assert isinstance(parse(line), StatusAsked)
    except RefusedError as error:
        reply = refusal(error)
        assert reply.count(b"\n") == 1 and json.loads(reply)["v"] == VERSION
