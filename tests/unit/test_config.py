from __future__ import annotations

import inspect
from typing import Any

import msgspec
import pytest
import uvicorn.config
from msgspec import inspect as types
from msgspec.structs import fields

from devrun.config import App, EnvFile, ProjectConfig, Reload, file_type
from devrun.kinds import KEY_WORDS
from devrun.uvicorn_settings import ELSEWHERE, UvicornSettings

NEWEST_KNOWN = (0, 54)
"""The newest uvicorn whose settings were looked through."""

PARAMETERS = inspect.signature(uvicorn.Config).parameters
OURS = {info.name for info in fields(UvicornSettings)}


def test_every_setting_of_the_installed_uvicorn_has_a_place() -> None:
    new = set(PARAMETERS) - OURS - set(ELSEWHERE)
    assert not new, f"uvicorn {uvicorn.__version__} has new settings: put each into UvicornSettings or ELSEWHERE"


def test_no_setting_is_made_up() -> None:
    if tuple(map(int, uvicorn.__version__.split(".")[:2])) < NEWEST_KNOWN:
        pytest.skip("an older uvicorn has fewer settings")
    assert set(PARAMETERS) >= OURS
    assert set(PARAMETERS) | {"app_dir"} >= set(ELSEWHERE)  # app_dir is of uvicorn.run and the command line
    assert not OURS & set(ELSEWHERE)


@pytest.mark.parametrize("name", sorted(OURS & set(PARAMETERS)))
def test_uvicorns_own_default_is_accepted(name: str) -> None:
    default = PARAMETERS[name].default
    if default is None or name == "log_config":  # not to be said in TOML; a dict
        return
    settings = msgspec.convert({name: default}, UvicornSettings)
    assert msgspec.to_builtins(settings) == {name: default}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("loop", getattr(uvicorn.config, "LOOP_FACTORIES", None) or getattr(uvicorn.config, "LOOP_SETUPS", ())),
        ("http", uvicorn.config.HTTP_PROTOCOLS),
        ("ws", uvicorn.config.WS_PROTOCOLS),
        ("lifespan", uvicorn.config.LIFESPAN),
        ("interface", uvicorn.config.INTERFACES),
        ("log_level", uvicorn.config.LOG_LEVELS),
    ],
)
def test_every_name_that_uvicorn_knows_is_accepted(name: str, known: Any) -> None:
    assert list(known)
    for value in known:
        msgspec.convert({name: value}, UvicornSettings)


def test_set_settings_reach_uvicorn_as_they_are() -> None:
    written = {"headers": [["x-dev", "run"]], "root_path": "/api", "log_level": "debug", "ws_ping_interval": 5}
    settings = msgspec.to_builtins(msgspec.convert(written, UvicornSettings))
    config = uvicorn.Config("shop.main:app", **settings)
    assert (config.root_path, config.log_level, config.ws_ping_interval) == ("/api", "debug", 5.0)
    assert [tuple(pair) for pair in config.headers] == [("x-dev", "run")]


def test_the_types_are_frozen_and_refuse_unknown_keys() -> None:
    for struct in (App, EnvFile, ProjectConfig, Reload, UvicornSettings):
        assert struct.__struct_config__.frozen
        assert struct.__struct_config__.forbid_unknown_fields
    assert file_type().__struct_config__.forbid_unknown_fields


def test_the_file_has_every_key_of_the_config_and_defaults_every_key_of_an_app() -> None:
    written = {info.name: info for info in fields(file_type())}
    assert set(written) == {info.name for info in fields(ProjectConfig)} | {"defaults"}
    defaults = written["defaults"].type.__origin__
    assert [info.name for info in fields(defaults)] == [info.name for info in fields(App)]
    assert not any(info.required for info in fields(defaults))


def test_every_pattern_has_words_for_messages() -> None:
    def bare_patterns(kind: Any) -> list[str]:
        match kind:
            case types.Metadata():
                return [] if (kind.extra or {}).get("expected") else bare_patterns(kind.type)
            case types.StrType(pattern=str() as pattern):
                return [pattern]
            case types.StructType():
                inner: list[Any] = [info.type for info in kind.fields]
            case types.DictType():
                inner = [kind.key_type, kind.value_type]
            case types.UnionType():
                inner = list(kind.types)
            case types.VarTupleType():
                inner = [kind.item_type]
            case _:
                inner = []
        return [pattern for one in inner for pattern in bare_patterns(one)]

    assert set(bare_patterns(types.type_info(file_type()))) == set(KEY_WORDS)
