"""The launcher's part in the Debug Adapter Protocol: message by message, no editor and no worker."""

from __future__ import annotations

from typing import Any

import pytest

from devrun.dap import Frames, Message, encode
from devrun.rootsession import Attached, Attaching, Detached, RootSession
from devrun.workersession import Left, Passed, Running, Stepping, Stopped, WorkerSession

HELLO = {"seq": 1, "type": "request", "command": "initialize", "arguments": {"clientID": "vscode"}}


# --- messages -------------------------------------------------------------------------------------------------------


def test_messages_come_out_as_they_went_in_however_they_are_cut() -> None:
    messages: list[Message] = [HELLO, {"seq": 2, "type": "event", "event": "ä" * 300}]
    data = b"".join(map(encode, messages))
    for size in (1, 7, len(data)):
        frames, found = Frames(), list[Message]()
        for at in range(0, len(data), size):
            found += frames.feed(data[at : at + size])
        assert found == messages


def test_case_and_spaces_of_the_head_are_free() -> None:
    assert Frames().feed(b"content-length:2\r\n\r\n{}") == [{}]


@pytest.mark.parametrize(
    "data",
    [
        b"P",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1:41741\r\nContent-Length: 2\r\n\r\n{}",
        b"Content-Length: 2\r\nHost: 127.0.0.1\r\n\r\n{}",
        b"Content-Length: " + b"1" * 30,
        b"Content-Length: x\r\n\r\n",
        b"Content-Length: 123456789\r\n\r\n",
        b"Content-Length: 2\r\n\r\n[]",
        b"Content-Length: 2\r\n\r\n{{",
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    """A web page can send a request to any port, and a debugger runs what it is told."""
    with pytest.raises(ValueError):
        Frames().feed(data)


# --- the session on the port ----------------------------------------------------------------------------------------


def request(command: str, seq: int = 1, **arguments: Any) -> Message:
    return {"seq": seq, "type": "request", "command": command, "arguments": arguments}


def attached(session: RootSession, *, modern: bool = True, **configuration: Any) -> None:
    session.hear(request("initialize", 1, supportsStartDebuggingRequest=modern))
    session.hear(request("attach", 2, **configuration))
    session.accept()
    session.hear(request("configurationDone", 3))


def test_an_editor_attaches() -> None:
    session = RootSession()
    (capabilities,) = session.hear(HELLO).messages
    assert (capabilities["request_seq"], capabilities["success"]) == (1, True)
    assert capabilities["body"]["supportsConfigurationDoneRequest"] is True
    heard = session.hear(request("attach", 2, pathMappings=[{"localRoot": "/a"}, {"localRoot": "/b"}, {}, 7]))
    assert heard.messages == () and heard.news == Attaching(("/a", "/b"))
    (initialized,) = session.accept()
    assert initialized["event"] == "initialized"
    (known,) = session.hear(request("setBreakpoints", 3, breakpoints=[{"line": 3}, {"line": 5}])).messages
    assert known["body"] == {"breakpoints": [{"verified": False}] * 2}
    (functions,) = session.hear(request("setFunctionBreakpoints", 4)).messages
    assert functions["body"] == {"breakpoints": []}
    assert session.hear(request("setExceptionBreakpoints", 5, filters=["uncaught"])).messages[0]["success"]
    done = session.hear(request("configurationDone", 6))
    assert [(one["command"], one["request_seq"]) for one in done.messages] == [("configurationDone", 6), ("attach", 2)]
    assert done.news == Attached()
    assert session.hear(request("threads", 7)).messages[0]["body"] == {"threads": []}
    assert session.hear({"type": "response", "request_seq": 1, "success": True}).messages == ()


def test_an_editor_is_refused_with_a_reason_that_it_shows() -> None:
    session = RootSession()
    assert session.hear(request("attach", 2)).news == Attaching(())
    (answer,) = session.refuse("api cannot be debugged: no debugpy")
    assert (answer["success"], answer["request_seq"]) == (False, 2)
    assert answer["message"] == answer["body"]["error"]["format"] == "api cannot be debugged: no debugpy"
    assert answer["body"]["error"]["showUser"] is True


@pytest.mark.parametrize("command", ["configurationDone", "launch", "evaluate", "stackTrace"])
def test_what_is_not_for_this_session_is_refused(command: str) -> None:
    (answer,) = RootSession().hear({"seq": 1, "type": "request", "command": command, "arguments": None}).messages
    assert (answer["success"], answer["command"]) == (False, command)


def test_a_worker_is_debugged_as_the_app_was_to_be() -> None:
    session = RootSession()
    attached(session, name="devrun: attach api", type="debugpy", justMyCode=False, connect={"port": 1}, __id=7)
    (asked,) = session.worker("api 1", 4711, "/devrun/child")
    assert (asked["type"], asked["command"], asked["arguments"]["request"]) == ("request", "startDebugging", "attach")
    assert asked["arguments"]["configuration"] == {
        "type": "debugpy",
        "name": "api 1",
        "justMyCode": False,
        "connect": {"host": "127.0.0.1", "port": 4711},
        "rules": [{"path": "/devrun/child", "include": False}],
    }


def test_an_old_editor_is_told_in_debugpys_own_way() -> None:
    session = RootSession()
    attached(session, modern=False)
    (told,) = session.worker("api 1", 4711, "/devrun/child")
    assert (told["type"], told["event"], told["body"]["request"]) == ("event", "debugpyAttach", "attach")
    assert told["body"]["connect"] == {"host": "127.0.0.1", "port": 4711}


@pytest.mark.parametrize("command", ["disconnect", "terminate"])
def test_stop_ends_the_session(command: str) -> None:
    session = RootSession()
    attached(session)
    heard = session.hear(request(command, 9, terminateDebuggee=True))
    assert [one.get("command") or one["event"] for one in heard.messages] == [command, "terminated"]
    assert heard.news == Detached()


def test_the_end_can_have_a_reason() -> None:
    said, ended = RootSession().end("no debugpy")
    assert (said["event"], said["body"]["output"], ended["event"]) == ("output", "no debugpy\n", "terminated")
    assert ended["seq"] == said["seq"] + 1


# --- between an editor and a worker ---------------------------------------------------------------------------------

STOPPED = {"seq": 8, "type": "event", "event": "stopped", "body": {"reason": "breakpoint", "threadId": 3}}


def test_a_stop_becomes_a_place() -> None:
    session = WorkerSession()
    passed = session.of_worker(STOPPED)
    assert passed.editor == (STOPPED,) and passed.news is None
    (asked,) = passed.worker
    assert (asked["command"], asked["arguments"]) == ("stackTrace", {"threadId": 3, "startFrame": 0, "levels": 1})
    frames = [{"source": {"path": "/home/me/shop/main.py"}, "line": 12}, {"source": {}, "line": 1}]
    answer = {"type": "response", "request_seq": asked["seq"], "success": True, "body": {"stackFrames": frames}}
    assert session.of_worker(answer) == Passed(news=Stopped("/home/me/shop/main.py", 12))
    nothing = {**answer, "success": False, "body": None}
    assert session.of_worker(nothing) == Passed(), "the editor has not asked"


def test_the_app_runs_on_when_that_is_answered() -> None:
    session = WorkerSession()
    asked = request("continue", 9, threadId=3)
    assert session.of_editor(asked) == Passed(worker=(asked,))
    other = {"type": "response", "request_seq": 8, "success": True}
    assert session.of_worker(other) == Passed(editor=(other,))
    answer = {"type": "response", "request_seq": 9, "success": True}
    assert session.of_worker(answer) == Passed(editor=(answer,), news=Running())
    assert session.of_worker(answer) == Passed(editor=(answer,))


@pytest.mark.parametrize("command", ["next", "stepIn", "stepOut"])
def test_a_step_may_stop_again(command: str) -> None:
    step = request(command, 9, threadId=3)
    assert WorkerSession().of_editor(step) == Passed(worker=(step,), news=Stepping())


@pytest.mark.parametrize("command", ["disconnect", "terminate"])
def test_stop_leaves_the_worker_alive(command: str) -> None:
    passed = WorkerSession().of_editor(request(command, 9, terminateDebuggee=True))
    assert passed == Passed(worker=(request("disconnect", 9, terminateDebuggee=False),), news=Left())


def test_an_editor_that_hears_of_the_end_or_begins_anew_has_not_left() -> None:
    session = WorkerSession()
    assert session.of_editor(request("disconnect", 9, restart=True)).news is None
    ended = {"type": "event", "event": "terminated", "body": {}}
    assert session.of_worker(ended) == Passed(editor=(ended,))
    assert session.of_editor(request("disconnect", 10)).news is None
    assert session.end() == (), "it was told"


def test_the_end_is_told_once() -> None:
    session = WorkerSession()
    (ended,) = session.end()
    assert ended["event"] == "terminated"
    assert session.end() == ()


def test_everything_else_passes() -> None:
    for message in (
        HELLO,
        {"type": "response", "request_seq": 2, "success": True},
        {"type": "event", "event": "output"},
    ):
        assert WorkerSession().of_editor(message) == Passed(worker=(message,))
        assert WorkerSession().of_worker(message) == Passed(editor=(message,))
