"""Which names in an env file some reader loses, cannot set, does not replace, or obeys: what a person should know.

Pure. What is lost or kept was seen with the real programs, as in ``hazards``; what is obeyed is what their manuals say.
No such name is refused: in a file for others it may be just what is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from devrun.consumers import EVERYBODY, Consumers, listed

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What everybody takes for a name: a digit in front, ``.``, ``-`` and letters of other alphabets lose some of them."""


class _Trouble(Struct, frozen=True):
    names: re.Pattern[str]
    fate: str
    """What the readers do with it, in words that fit one and many."""
    readers: Consumers


def _trouble(names: str, fate: str, *readers: str) -> _Trouble:
    return _Trouble(re.compile(names), fate, frozenset(name for name in EVERYBODY if name in readers))


_TROUBLES = (
    # An object of JavaScript has these already: the file as a whole is not read where one is expanded.
    _trouble("__proto__", "is lost in", "dotenv", "dotenv-expand", "vite", "next"),
    _trouble(
        "constructor|toString|toLocaleString|valueOf|hasOwnProperty|isPrototypeOf|propertyIsEnumerable"
        "|__(?:define|lookup)[GS]etter__",
        "breaks the reading of the whole file in",
        "dotenv-expand",
        "vite",
    ),
    _trouble("UID|EUID|PPID|BASHOPTS|SHELLOPTS|BASH_VERSINFO", "ends the reading of the file in", "bash"),
    _trouble("OPTIND", "ends the reading of the file in", "dash"),
    _trouble(
        "_|RANDOM|SRANDOM|SECONDS|LINENO|GROUPS|DIRSTACK|FUNCNAME|PIPESTATUS|HISTCMD|OPTIND|COMP_WORDBREAKS|EPOCH(?:SECONDS|REALTIME)"
        "|BASH(?:PID|_SUBSHELL|_LINENO|_SOURCE|_ARG[CV]|_ARGV0|_ALIASES|_CMDS)",
        "has a value of its own in",
        "bash",
    ),
    _trouble("__NEXT_PROCESSED_ENV", "has a value of its own in", "next"),
    _trouble("UV|UV_RUN_RECURSION_DEPTH", "has a value of its own in", "uv"),
    # In nearly every environment already, and these do not replace what is there.
    _trouble(
        "PATH|HOME|USER|LOGNAME|SHELL|PWD|OLDPWD|SHLVL|TERM|LANG|LC_[A-Z]+|TZ|TMPDIR|HOSTNAME|DISPLAY|EDITOR|PAGER|MAIL",
        "keeps the value that the environment has for it in",
        "dotenv",
        "vite",
        "next",
        "node",
        "bun",
        "python-dotenv",
        "pydantic-settings",
        "environs",
        "django-environ",
        "uv",
        "docker-compose",
        "ruby-dotenv",
    ),
    _trouble("PATH|HOME|PWD|SHELL|USER", "replaces that of the program in", "bash", "dash", "systemd", "direnv"),
    _trouble(
        "NODE_(?:ENV|OPTIONS|PATH|DEBUG|EXTRA_CA_CERTS|TLS_REJECT_UNAUTHORIZED)|UV_THREADPOOL_SIZE",
        "is obeyed in",
        "dotenv",
        "dotenv-expand",
        "vite",
        "next",
        "node",
        "bun",
    ),
    _trouble("DOTENV_.*", "is obeyed in", "dotenv", "dotenv-expand"),
    _trouble("BUN_.*", "is obeyed in", "bun"),
    _trouble("NEXT_(?:RUNTIME|PHASE)", "is obeyed in", "next"),
    _trouble("VITE_USER_NODE_ENV", "is obeyed in", "vite"),
    _trouble(
        "PYTHON.*|VIRTUAL_ENV", "is obeyed in", "python-dotenv", "environs", "django-environ", "pydantic-settings", "uv"
    ),
    _trouble("UV_.*", "is obeyed in", "uv"),
    _trouble("(?:COMPOSE|DOCKER)_.*", "is obeyed in", "docker-compose"),
    _trouble("RUBY(?:OPT|LIB)|GEM_.*|BUNDLE_.*", "is obeyed in", "ruby-dotenv"),
    _trouble("DIRENV_.*", "is obeyed in", "direnv"),
    _trouble("BASH_ENV|ENV|IFS|CDPATH|GLOBIGNORE|POSIXLY_CORRECT|PS4|TMOUT", "is obeyed in", "bash", "dash"),
    _trouble("LD_.*|DYLD_.*|GCONV_PATH", "is obeyed in", *EVERYBODY),
)


def refuses_name(name: str) -> bool:
    """Whether some reader does not take ``name`` for one."""
    return NAME.fullmatch(name) is None


def warnings(name: str, readers: Consumers = EVERYBODY) -> Iterator[str]:
    """Yield what becomes of ``name`` in some of ``readers``, in words that go on after the name."""
    for trouble in _TROUBLES:
        who = trouble.readers & readers
        if who and trouble.names.fullmatch(name):
            yield f"{trouble.fate} {listed(who)}"
