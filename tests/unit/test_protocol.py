"""Lines of the control socket: whatever comes in, what goes out is as ever."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devrun.control.fields import RefusedError
from devrun.control.protocol import (
    VERSION,
    AskAttach,
    AskDown,
    AskEndpoints,
    AskLogs,
    AskRestart,
    AskStart,
    AskStatus,
    AskStop,
    AskWait,
    Request,
    answer,
    parse,
    part,
    refusal,
)

KINDS = '"status", "restart", "stop", "start", "down", "wait", "logs", "endpoints" or "attach"'


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (b'{"v": 1, "ask": "status"}', AskStatus()),
        (b'{"v":1,"ask":"status","verbose":true}\r', AskStatus(verbose=True)),
        (b'{"v":1,"ask":"status","verbose":false,"newer":[1]}', AskStatus()),
        (b'{"v":1,"ask":"restart"}', AskRestart()),
        (b'{"v":1,"ask":"restart","apps":["api","auth","api"]}', AskRestart(("api", "auth"))),
        (b'{"v":1,"ask":"restart","seconds":0.5}', AskRestart(seconds=0.5)),
        (b'{"v":1,"ask":"stop","apps":["api"]}', AskStop(("api",))),
        (b'{"v":1,"ask":"start","apps":["api"]}', AskStart(("api",))),
        (b'{"v":1,"ask":"down"}', AskDown()),
        (b'{"v":1,"ask":"wait"}', AskWait()),
        (b'{"v":1,"ask":"wait","apps":["api"],"seconds":2.5,"or_broken":true}', AskWait(("api",), 2.5, True)),
        (b'{"v":1,"ask":"logs"}', AskLogs()),
        (b'{"v":1,"ask":"logs","apps":[]}', AskLogs((), notices=False)),
        (
            b'{"v":1,"ask":"logs","apps":["api"],"notices":true,"last":5,"follow":true,"after":9,"stack":"shop-1"}',
            AskLogs(("api",), True, 5, True, 9, "shop-1"),
        ),
        (b'{"v":1,"ask":"endpoints"}', AskEndpoints()),
        (b'{"v":1,"ask":"attach","app":"api"}', AskAttach("api")),
        (b'{"v":1,"ask":"endpoints","follow":true}', AskEndpoints(follow=True)),
    ],
)
def test_requests(line: bytes, request_: Request) -> None:
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
        (b'{"v":1,"ask":"stauts"}', "unknown-request", f'expected {KINDS} for "ask", found "stauts"'),
        (b'{"v":1,"ask":{"a":"\\ud800"}}', "unknown-request", f'expected {KINDS} for "ask", found {{"a": "\\ud800"}}'),
        (b'{"v":1,"ask":"stop"}', "bad-request", 'expected a list of names for "apps", found none'),
        (b'{"v":1,"ask":"stop","apps":[]}', "bad-request", 'expected a list of names for "apps", found none'),
        (b'{"v":1,"ask":"start","apps":"api"}', "bad-request", 'expected a list of names for "apps", found "api"'),
        (b'{"v":1,"ask":"start","apps":["a",1]}', "bad-request", 'expected a list of names for "apps", found ["a", 1]'),
        (b'{"v":1,"ask":"wait","seconds":-1}', "bad-request", 'expected a number from 0 on for "seconds", found -1'),
        (
            b'{"v":1,"ask":"wait","seconds":true}',
            "bad-request",
            'expected a number from 0 on for "seconds", found true',
        ),
        (b'{"v":1,"ask":"wait","seconds":NaN}', "bad-request", 'expected a number from 0 on for "seconds", found NaN'),
        (
            b'{"v":1,"ask":"wait","seconds":1e99}',
            "bad-request",
            'expected a number from 0 on for "seconds", found 1e+99',
        ),
        (b'{"v":1,"ask":"logs","last":"5"}', "bad-request", 'expected a number from 0 on for "last", found "5"'),
        (b'{"v":1,"ask":"logs","stack":5}', "bad-request", 'expected a string for "stack", found 5'),
        (b'{"v":1,"ask":"attach"}', "bad-request", 'expected a name for "app", found none'),
        (b'{"v":1,"ask":"status","verbose":1}', "bad-request", 'expected a boolean for "verbose", found 1'),
    ],
)
def test_what_is_no_request_is_refused(line: bytes, code: str, message: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse(line)
    assert (refused.value.code, refused.value.message) == (code, message)


def test_answers() -> None:
    assert answer(AskStatus(), {"v": 1, "stack": "sh\u00f6p\udcff"}) == (
        b'{"v":1,"answer":"status","data":{"v":1,"stack":"sh\\u00f6p\\udcff"}}\n'
    )
    assert part(AskLogs(), {"a": 1}) == b'{"v":1,"answer":"logs","more":true,"data":{"a":1}}\n'
    assert part(AskWait()) == b'{"v":1,"answer":"wait","more":true}\n'
    assert refusal(RefusedError("busy", "later")) == b'{"v":1,"error":"busy","message":"later"}\n'


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)
keys = st.sampled_from(["verbose", "apps", "seconds", "or_broken", "notices", "last", "follow", "after", "stack"])
requests = st.builds(
    lambda kind, fields: {"v": 1, "ask": kind, **fields},
    st.sampled_from(KINDS.replace('"', "").replace(" or ", ", ").split(", ")),
    st.dictionaries(keys, values),
)
documents = requests | st.dictionaries(st.sampled_from(["v", "ask"]) | st.text(), values)


@given(st.binary() | documents.map(lambda document: json.dumps(document).encode()))
def test_whatever_comes_is_a_request_or_refused_on_one_line(line: bytes) -> None:
    try:
        assert isinstance(parse(line), Request)
    except RefusedError as error:
        reply = refusal(error)
        assert reply.count(b"\n") == 1 and json.loads(reply)["v"] == VERSION
