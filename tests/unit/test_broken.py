"""The pure parts of the broken page: negotiation, CORS, who sees details, parsing, ``describe``. Runs on Python 3.9."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from devrun.child import failure as failures
from devrun.child import page
from devrun.child import request as request_

CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
Own = Callable[[str], bool]


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return lambda name: name.startswith(str(tmp_path))


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., ModuleType]:
    """``load(name, source)`` imports a module from ``source``."""

    def load(name: str, source: str) -> ModuleType:
        path = tmp_path / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def caught(act: Callable[..., object], *args: object) -> BaseException:
    try:
        act(*args)
    except BaseException as exc:
        return exc
    raise AssertionError("nothing was raised")


# --- negotiation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        (" , ", "text/plain"),
        (CHROME, "text/html"),
        ("text/html", "text/html"),
        ("TEXT/HTML", "text/html"),
        ("text/html, */*", "text/html"),
        ("*/*, text/html", "text/html"),
        ("application/json", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/plain, application/json", "text/plain"),
        ("application/problem+json", "application/problem+json"),
        ("application/problem+json, application/json", "application/problem+json"),
        ("application/json;q=0.5, text/html;q=0.9", "text/html"),
        ("application/json; q=0.9 , text/html;q=0.5", "application/json"),
        ("application/*", "application/json"),
        ("text/*", "text/plain"),
        ("text/*, text/plain;q=0", "text/html"),
        ("*/*, text/plain;q=0.1, text/html;q=0.2", "application/json"),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "text/html"),
        ("*", "text/plain"),
        ("application/json;charset=utf-8", "application/json"),
        ("image/png", "text/plain"),
        ("text/event-stream", "text/plain"),
        ("*/*;q=0", "text/plain"),
        ("text/html;q=nan, application/json;q=0.1", "application/json"),
        ("text/html;q=9, application/json;q=0.1", "application/json"),
        ("text/html;q=high, application/json;q=0.1", "application/json"),
        (";;;,q=1,/", "text/plain"),
    ],
)
def test_accept_chooses_the_form(accept: str, expected: str) -> None:
    assert request_.negotiate(accept) == expected


# --- who may read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "http://localhost:5173",
        "https://localhost:8443",
        "http://shop.localhost:3000",
        "http://a.b-c.localhost",
        "http://127.0.0.1:5173",
        "http://127.8.9.10",
        "http://[::1]:5173",
    ],
)
def test_pages_of_this_machine_may_read(origin: str) -> None:
    assert request_.cors({"origin": origin}) == {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "x-devrun-broken, Retry-After",
    }


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "*",
        "localhost",
        "http://example.com",
        "http://localhost.example.com",
        "http://notlocalhost",
        "http://.localhost",
        "http://127.0.0.1.example.com",
        "http://128.0.0.1",
        "http://192.168.0.10:5173",
        "http://0.0.0.0",
        "http://[::2]",
        "http://localhost:",
        "http://localhost:80/",
        "http://user@localhost",
        "http://localhost@example.com",
        "http://localhost:5173, http://localhost:5173",
        "file://localhost",
        "chrome-extension://localhost",
        "http://localhost\n",
    ],
)
def test_other_origins_may_not(origin: str) -> None:
    assert request_.cors({"origin": origin, "access-control-request-method": "PUT"}) == {}


def test_preflight_allows_what_is_asked_for_and_is_not_kept() -> None:
    asked = {
        "origin": "http://localhost:5173",
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "authorization,x-mine",
    }
    allowed = request_.cors(asked)
    assert allowed["Access-Control-Allow-Methods"] == "PATCH"
    assert allowed["Access-Control-Allow-Headers"] == "authorization,x-mine"
    assert allowed["Access-Control-Max-Age"] == "0"


@pytest.mark.parametrize(
    "host",
    ["", "localhost", "LOCALHOST:80", "localhost.", "api.localhost:4000", "127.0.0.1", "127.0.0.1:8000", "0.0.0.0:1"]
    + ["192.168.1.5:8000", "8.8.8.8", "[::1]", "[::1]:8000", "[fe80::1]:8000", "[2001:db8::1]"],
)
def test_details_are_for_addresses_and_localhost(host: str) -> None:
    assert request_.may_see_details(host)


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "example.com:8000",
        "127.0.0.1.nip.io",
        "localhost.example.com",
        "evil-localhost",
        "localhost:80:80",
    ]
    + ["localhost, example.com", "[::1", "::1", "[evil]", "local host", "1.2.3", "mybox", "localhost:x"],
)
def test_details_are_not_for_other_names(host: str) -> None:
    assert not request_.may_see_details(host)


# --- parsing ------------------------------------------------------------------------------------------------------


def test_parse_reads_a_head() -> None:
    request = request_.parse(b"POST /a?b HTTP/1.1\r\nHost:x\r\nX-A:  1 \r\nx-a: 2\r\nContent-Length: 12\r\n\r\n")
    assert request == request_.Request("POST", {"host": "x", "x-a": "1, 2", "content-length": "12"}, 12)


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"Content-Length: 99999999999999", request_.BODY_BYTES),
        (b"Transfer-Encoding: chunked", request_.BODY_BYTES),
        (b"Content-Length: 0", 0),
    ],
)
def test_parse_bounds_the_body(header: bytes, body: int) -> None:
    assert request_.parse(b"PUT / HTTP/1.1\r\n" + header + b"\r\n\r\n").body == body


@pytest.mark.parametrize(
    "head",
    [
        b"GET /\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"GET / a HTTP/1.1\r\n\r\n",
        b"G(T / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nnocolon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: empty\r\n\r\n",
        b"GET / HTTP/1.1\r\nspace : x\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nOrigin: http://localhost\nSet-Cookie: a=b\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"e\r\n\r\n",
    ],
)
def test_parse_refuses_what_is_not_http(head: bytes) -> None:
    with pytest.raises(ValueError):
        request_.parse(head)


# --- the answer ---------------------------------------------------------------------------------------------------


def answer(failure: dict[str, Any], head: str, app: str = "api") -> tuple[dict[str, str], str]:
    source = page.source_around(failure["file"], failure["line"])
    request = request_.parse(f"{head}\r\n\r\n".encode("latin-1"))
    raw = page.Page(app, "t1", failure, source).answer(request)
    top, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = top.decode("latin-1").split("\r\n")
    return {"status": status, **dict(line.split(": ", 1) for line in lines)}, body.decode("utf-8")


def failure_of(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "import",
        "summary": "KeyError: 'x'",
        "text": "Traceback\n  ...\nKeyError: 'x'",
        "file": None,
        "line": None,
        **changes,
    }


def test_hostile_texts_are_escaped(tmp_path: Path) -> None:
    hostile = "</script></style></title><img src=x onerror=alert(1)>\"' $app ${nonce} $"
    file = tmp_path / "<b>.py"
    file.write_text(f"# {hostile}\n")
    failure = failure_of(summary=hostile, text=hostile + "\ud800", file=str(file), line=1)
    fields, body = answer(failure, "GET / HTTP/1.1\r\nAccept: text/html", app=hostile)
    assert "<img" not in body
    assert "<b>" not in body
    assert body.count("</script>") == body.count("</style>") == 1
    assert body.count("$app ${nonce} $") >= 5
    assert "\\ud800" in body
    assert int(fields["Content-Length"]) == len(body.encode())


def test_every_html_answer_has_a_nonce_of_its_own() -> None:
    fields, body = answer(failure_of(), "GET / HTTP/1.1\r\nAccept: text/html")
    nonce = fields["Content-Security-Policy"].partition("'nonce-")[2].partition("'")[0]
    assert len(nonce) == 32
    assert body.count(f'nonce="{nonce}"') == 2
    assert nonce not in answer(failure_of(), "GET / HTTP/1.1\r\nAccept: text/html")[1]


def test_the_failing_line_is_marked_in_its_context(tmp_path: Path) -> None:
    file = tmp_path / "routes.py"
    file.write_text("".join(f"line {n}\n" for n in range(1, 31)))
    _, body = answer(failure_of(file=str(file), line=12), "GET / HTTP/1.1\r\nAccept: text/html")
    assert '<span class="line bad" data-n="12">line 12\n</span>' in body
    assert 'data-n="8"' in body
    assert 'data-n="16"' in body
    assert 'data-n="7"' not in body
    assert 'data-n="17"' not in body
    assert f"{file}:12</h2>" in body


@pytest.mark.parametrize("file", ["missing.py", "folder", "a\0b", "<string>"])
def test_unreadable_source_is_left_out(tmp_path: Path, file: str) -> None:
    (tmp_path / "folder").mkdir()
    assert page.source_around(str(tmp_path / file), 1) == ()


def test_odd_source_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_bytes(b"\xef\xbb\xbffirst\r\nse\xffcond\x0c\r\nthird")
    assert page.source_around(str(file), 2) == ((1, "first"), (2, "se\ufffdcond\x0c"), (3, "third"))
    assert page.source_around(str(file), None) == page.source_around(None, 1) == ()
    file.write_bytes(b" " * 5_000_000)
    assert page.source_around(str(file), 1) == ()
    assert page.source_around("/proc/self/mem", 1) == ()  # may be opened, cannot be read


def test_json_is_a_problem_document_with_the_failure() -> None:
    fields, body = answer(failure_of(file="/a/b.py", line=3), "GET / HTTP/1.1\r\nAccept: application/problem+json")
    assert fields["status"] == "HTTP/1.1 503 Service Unavailable"
    assert fields["Content-Type"] == "application/problem+json"
    assert json.loads(body) == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "api could not be imported: KeyError: 'x'",
        "app": "api",
        "kind": "import",
        "summary": "KeyError: 'x'",
        "file": "/a/b.py",
        "line": 3,
        "text": "Traceback\n  ...\nKeyError: 'x'",
    }


def test_text_says_what_where_and_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, body = answer(failure_of(file=str(tmp_path / "shop" / "a.py"), line=3), "GET / HTTP/1.1")
    assert body == "api could not be imported: KeyError: 'x'\nat shop/a.py:3\n\nTraceback\n  ...\nKeyError: 'x'\n"
    _, body = answer(failure_of(kind="died", file=str(tmp_path / "a.py")), "GET / HTTP/1.1")
    assert body.startswith("api died: KeyError: 'x'\nat a.py\n\n")


def test_a_removed_working_directory_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    _, body = answer(failure_of(file="/a/b.py", line=3), "GET / HTTP/1.1")
    assert "at /a/b.py:3\n" in body


@pytest.mark.parametrize("accept", ["text/html", "text/plain", "application/json"])
def test_a_foreign_name_gets_no_details(accept: str, tmp_path: Path) -> None:
    file = tmp_path / "secret.py"
    file.write_text("SECRET = 1\n")
    failure = failure_of(summary="SECRET", text="SECRET", file=str(file), line=1)
    fields, body = answer(failure, f"GET / HTTP/1.1\r\nHost: example.com\r\nAccept: {accept}")
    assert fields["x-devrun-broken"] == "t1"
    assert fields["status"].startswith("HTTP/1.1 503")
    assert "secret" not in body.lower()
    assert "localhost" in body


def test_text_that_only_repeats_the_summary_is_not_repeated() -> None:
    _, body = answer(
        failure_of(kind="setup", summary="no uvicorn", text="no uvicorn\n"), "GET / HTTP/1.1\r\nAccept: text/html"
    )
    assert "<section" not in body


# --- describe -----------------------------------------------------------------------------------------------------


def test_syntax_error_points_into_its_file(tmp_path: Path, load: Callable[..., ModuleType], own: Own) -> None:
    failure = failures.describe(caught(load, "bad", "a = 1\nif True print(1)\n"), own)
    assert failure["kind"] == "import"
    assert failure["summary"].startswith("SyntaxError: ")
    assert "bad.py" not in failure["summary"]
    assert (failure["file"], failure["line"]) == (str(tmp_path / "bad.py"), 2)
    assert "if True print(1)\n" in failure["text"]
    assert "^" in failure["text"]
    assert "importlib" not in failure["text"]


def test_the_innermost_own_frame_is_the_place(tmp_path: Path, load: Callable[..., ModuleType], own: Own) -> None:
    source = "import json\ndef a():\n    b()\ndef b():\n    json.loads('{')\na()\n"
    failure = failures.describe(caught(load, "deep", source), own, kind="startup")
    assert failure["kind"] == "startup"
    assert failure["summary"].startswith("JSONDecodeError: Expecting property name")
    assert (failure["file"], failure["line"]) == (str(tmp_path / "deep.py"), 5)
    assert failure["text"].startswith('Traceback (most recent call last):\n  File "')
    assert "json/decoder.py" in failure["text"]
    assert failure["text"].splitlines()[-1] == "json.decoder." + failure["summary"]


def test_a_missing_app_module_has_no_place(own: Own) -> None:
    failure = failures.describe(caught(importlib.import_module, "no_such_module_at_all"), lambda name: False)
    assert failure["summary"] == "ModuleNotFoundError: No module named 'no_such_module_at_all'"
    assert failure["file"] == str(Path(__file__))  # this test called importlib
    assert "importlib" not in failure["text"]


def test_without_own_frames_the_innermost_is_the_place() -> None:
    failure = failures.describe(caught(json.loads, "{"), lambda name: False)
    assert failure["file"] is not None
    assert failure["file"].endswith("decoder.py")


def test_devruns_own_frames_are_left_out(own: Own) -> None:
    failure = failures.describe(caught(request_.parse, b"x"), lambda name: name == __file__)
    assert failure["file"] == __file__
    failure = failures.describe(ValueError("never raised"), own)
    assert (failure["file"], failure["line"], failure["text"]) == (None, None, "ValueError: never raised")


def test_frames_of_the_machinery_below_own_ones_stay(load: Callable[..., ModuleType], own: Own) -> None:
    source = "from devrun.child import broken\nbroken.parse(b'x')\n"
    failure = failures.describe(caught(load, "calls", source), own)
    assert "child/request.py" in failure["text"]
    assert failure["line"] == 2


def test_chains_are_kept_and_searched(tmp_path: Path, load: Callable[..., ModuleType], own: Own) -> None:
    source = "try:\n    {}['x']\nexcept KeyError as exc:\n    raise ValueError('outer') from exc\n"
    exc = caught(load, "chain", source)
    failure = failures.describe(exc, own)
    assert failure["line"] == 4
    assert "KeyError: 'x'" in failure["text"]
    assert "direct cause" in failure["text"]
    foreign = RuntimeError("foreign")
    foreign.__cause__ = exc
    failure = failures.describe(foreign, own)
    assert failure["summary"] == "RuntimeError: foreign"
    assert (failure["file"], failure["line"]) == (str(tmp_path / "chain.py"), 4)


def test_a_hidden_context_is_not_searched(load: Callable[..., ModuleType], own: Own) -> None:
    hidden = RuntimeError("foreign")
    hidden.__context__ = caught(load, "inner", "1 / 0\n")
    assert failures.describe(hidden, own)["line"] == 1
    hidden.__suppress_context__ = True
    assert failures.describe(hidden, own)["file"] is None


def test_circular_and_endless_chains_end(own: Own) -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert "ValueError: one" in failures.describe(one, own)["text"]
    chain: BaseException = ValueError("deepest")
    for n in range(5000):
        after = ValueError(f"number {n}")
        after.__cause__ = chain
        chain = after
    failure = failures.describe(chain, own)
    assert failure["summary"] == "ValueError: number 4999"
    assert "ValueError" in failure["text"]
    assert len(failure["text"].splitlines()) < 400


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Number(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class Odd(Exception):
    __notes__ = 7  # type: ignore[assignment]

    @property
    def exceptions(self) -> None:
        raise RuntimeError("no")

    __cause__ = exceptions


@pytest.mark.parametrize("kind", [Mute, Number])
def test_exceptions_that_cannot_speak(own: Own, kind: type[Exception]) -> None:
    failure = failures.describe(kind(), own)
    assert failure["summary"].startswith(f"{kind.__name__}: ")
    assert kind.__name__ in failure["text"]


def test_oddly_made_exceptions(own: Own) -> None:
    with_bad_place = SyntaxError("bad", (b"file", "line", "offset", 5))  # type: ignore[arg-type]
    nest_of_itself = ValueError("nest")
    vars(nest_of_itself)["exceptions"] = (nest_of_itself,)
    summaries = {SyntaxError(): "SyntaxError", with_bad_place: "SyntaxError: bad", Odd(): "Odd"}
    for exc, summary in {**summaries, nest_of_itself: "ValueError: nest"}.items():
        failure = failures.describe(exc, own)
        assert failure["summary"] == summary
        assert type(exc).__name__ in failure["text"]


def test_a_summary_is_one_short_printable_line(own: Own) -> None:
    assert failures.describe(ValueError("\n\n  first \n second"), own)["summary"] == "ValueError: first"
    assert failures.describe(ValueError(), own)["summary"] == "ValueError"
    assert failures.describe(SystemExit(3), own)["summary"] == "SystemExit: 3"
    assert failures.describe(ValueError("\x1b[31mred\ud800"), own)["summary"] == "ValueError: \\x1b[31mred\\ud800"
    long = failures.describe(ValueError("x" * 5_000_000), own)
    assert len(long["summary"]) == 200
    assert long["summary"].endswith("…")
    assert len(long["text"]) < 3000


def test_very_long_tracebacks_are_shortened(tmp_path: Path, load: Callable[..., ModuleType], own: Own) -> None:
    once = failures.describe(caught(load, "loop", "def a():\n    a()\na()\n"), own)
    assert once["summary"].startswith("RecursionError: maximum recursion depth exceeded")
    assert (once["file"], once["line"]) == (str(tmp_path / "loop.py"), 2)
    both = failures.describe(caught(load, "pair", "def a():\n    b()\ndef b():\n    a()\na()\n"), own)
    lines = both["text"].splitlines()
    assert len(lines) < 310
    assert any("lines left out" in line for line in lines)
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("RecursionError: ")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups are built in from Python 3.11")
def test_groups(tmp_path: Path, load: Callable[..., ModuleType], own: Own) -> None:
    group = vars(__import__("builtins"))["ExceptionGroup"]
    inner = caught(load, "member", "\n\n1 / 0\n")
    one = failures.describe(caught(raiser, group("several", [group("nested", [inner])])), own)
    assert one["summary"] == "ZeroDivisionError: division by zero"
    assert (one["file"], one["line"]) == (str(tmp_path / "member.py"), 3)
    assert "several (1 sub-exception)" in one["text"]
    assert "importlib" not in one["text"]
    two = failures.describe(caught(raiser, group("several", [ValueError("no place"), inner])), own)
    assert two["summary"] == "ExceptionGroup: several (2 sub-exceptions)"
    assert two["line"] == 3
    inner.__context__ = group("circle", [inner])
    assert failures.describe(inner, own)["line"] == 3


def raiser(exc: BaseException) -> None:
    raise exc
