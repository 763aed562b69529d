"""The worker: imports an app, serves it with uvicorn on sockets it was handed, and reports to the launcher.

Started as ``python worker.py FD``: FD is a stream socket to the launcher on which both sides send JSON lines.
The launcher sends the order first and ``{"do": "begin"}`` when the older worker is gone; the worker answers
``{"is": "loaded" | "imported" | "started" | "failed"}``. When the launcher vanishes, the worker ends its whole
process group. ``python worker.py FD fork`` is a fork server, which forks such workers (``forkserver``).

Runs in the app's own interpreter: the standard library and uvicorn only, Python 3.9 on, uvicorn 0.23 on. Nothing here
runs at import, because ``multiprocessing`` may import the main module again in its children.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import sys
from types import ModuleType
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "_devrun_child"


def sibling(name: str) -> ModuleType:
    """Import a module of this folder, as part of a package that the app cannot meet on ``sys.path``."""
    if PACKAGE not in sys.modules:
        package = sys.modules[PACKAGE] = ModuleType(PACKAGE)
        package.__path__ = [HERE]
    return importlib.import_module(f"{PACKAGE}.{name}")


def main() -> None:
    """Be a worker, or a fork server."""
    if sys.path and os.path.realpath(sys.path[0]) == os.path.realpath(HERE):
        del sys.path[0]
    descriptor = int(sys.argv[1])
    if sys.argv[2:] == ["fork"]:
        sibling("forkserver").run(descriptor, work)
    else:
        channel = sibling("channel").Channel(socket.socket(fileno=descriptor))
        work(channel.receive(), channel)


def work(order: dict[str, Any], channel: Any, forked: Any = None) -> None:
    """Serve the app, or the page that says why it cannot be served. ``forked``: what a forked worker does besides."""
    sockets = [socket.socket(fileno=fd) for fd in order["fds"]]
    for sock in sockets:
        sock.set_inheritable(False)
    restore_limits(order)
    failure = order.get("page")
    if failure is None:
        failure = serve(order, channel, sockets, forked)
        if failure is None:
            return
        if failure["kind"] != "startup":  # uvicorn has logged that one
            print(failure["text"], file=sys.stderr, flush=True)
        channel.send({"is": "failed", "failure": failure})
    serve_page(order, channel, sockets, failure)


def restore_limits(order: dict[str, Any]) -> None:
    """Give the app the descriptor limits of the shell, not the launcher's raised ones."""
    if order.get("nofile"):
        import resource

        soft, hard = order["nofile"]
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def serve(order: dict[str, Any], channel: Any, sockets: list[socket.socket], forked: Any) -> dict[str, Any] | None:
    """Serve the app until asked to stop. Return the failure when it could not be started."""
    sys.argv = ["uvicorn", order["app"]]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    loading = sibling("loading")
    own = loading.own_files()

    def report(files: list[Any]) -> None:
        channel.send({"is": "loaded", "files": files})

    port = sibling("debugport").DebugPort(channel)
    breakpoints = sibling("breakpoints").Breakpoints(channel, port)
    breakpoints.install()
    if forked is not None:
        forked.prepare(order, own, breakpoints.renew)
        report = forked.report
    if order["debug"] and port.open():
        port.wait()
    try:
        importlib.import_module("uvicorn")
    except ImportError as exc:
        report(loading.awaited(order["app"]))
        return missing_uvicorn(exc)
    serving = sibling("serving")
    unknown = serving.unknown_settings(order["uvicorn"])
    if unknown:
        return setup_failure(unknown)
    # As `uvicorn module:app` does, and as late: a logging.py of the app's must not become uvicorn's.
    sys.path.insert(0, "")
    loading.install(own, report, None if forked is None else forked.pauses)
    links = serving.Links(channel, breakpoints.leave, port.open, bool if forked is None else forked.tell_late)
    problem: BaseException | None = serving.run(order, links, sockets, None if forked is None else forked.importing)
    if problem is None:
        return None
    if isinstance(problem, serving.SetupProblem):
        return setup_failure(str(problem))
    culprit = serving.culprit(problem)
    if isinstance(culprit, ModuleNotFoundError) and culprit.name:
        report(loading.missing(culprit.name))
    failure: dict[str, Any] = sibling("failure").describe(culprit, own)
    failure["kind"] = "startup" if isinstance(problem, serving.StartupProblem) else "import"
    return serving.refine(failure, problem)  # type: ignore[no-any-return]


def missing_uvicorn(exc: ImportError) -> dict[str, Any]:
    if getattr(exc, "name", None) not in ("uvicorn", None):
        return setup_failure(f"uvicorn cannot be imported by {sys.executable}: {exc}")
    install = f"{sys.executable} -m pip install uvicorn"
    return setup_failure(f"uvicorn is not installed for {sys.executable}; install it with: {install}")


def setup_failure(summary: str) -> dict[str, Any]:
    return {"kind": "setup", "summary": summary, "text": summary, "file": None, "line": None}


def serve_page(order: dict[str, Any], channel: Any, sockets: list[socket.socket], failure: dict[str, Any]) -> None:
    """Answer 503 with the failure until a signal comes, and finish what is being answered then."""
    import asyncio

    broken = sibling("broken")
    # Not the app's event loop policy: it may be what is broken.
    loop = asyncio.SelectorEventLoop()
    asyncio.set_event_loop(loop)
    loop.add_reader(channel.fileno(), channel.poll)
    serving = loop.create_task(
        broken.serve(
            sockets,
            failure,
            app=order["name"],
            token=order["token"],
            identity=order["identity"],
            ssl_context=page_tls(order),
        )
    )
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(serving)
    # Threads that the app left behind must not hold the process, and no lifespan has begun that would have to end.
    os._exit(0)


def page_tls(order: dict[str, Any]) -> Any:
    """Return a TLS context when the app is served over TLS, so that its page is found at the same URL."""
    settings = order["uvicorn"]
    if not settings.get("ssl_certfile"):
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(
            settings["ssl_certfile"], settings.get("ssl_keyfile"), settings.get("ssl_keyfile_password")
        )
    except (OSError, ssl.SSLError):
        return None
    return context


if __name__ == "__main__":
    main()
