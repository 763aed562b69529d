from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devrun.plan import Endpoint
from devrun.variables import VariableError, expand, injected, names, problems

ENDPOINTS = {
    "api": Endpoint("api", "127.0.0.1", 41507),
    "my-auth_2": Endpoint("my-auth_2", "::1", 443, "https"),
}
ENVIRON = {"HOME": "/home/me", "EMPTY": "", "ODD:NAME": "odd"}
FOLDER = Path("/home/me/shop")
EXPECTED = (
    "; expected ${NAME.url}, .host, .port or .ws_url of an endpoint, ${env:NAME}, ${workspaceFolder}, "
    "or $$ for a dollar sign"
)


def filled(text: str) -> str:
    return expand(text, ENDPOINTS, ENVIRON, FOLDER)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${api.url}/v1", "http://127.0.0.1:41507/v1"),
        ("${api.host}:${api.port}", "127.0.0.1:41507"),
        ("${api.ws_url}", "ws://127.0.0.1:41507"),
        ("${my-auth_2.url}", "https://[::1]:443"),
        ("${my-auth_2.ws_url}", "wss://[::1]:443"),
        ("${my-auth_2.host}", "::1"),
        ("${env:HOME}", "/home/me"),
        ("[${env:EMPTY}]", "[]"),
        ("${env:ODD:NAME}", "odd"),
        ("${workspaceFolder}/x", "/home/me/shop/x"),
        ("$$", "$"),
        ("$${api.url}", "${api.url}"),
        ("$$$${api.url}", "$${api.url}"),
        ("$$${api.port}", "$41507"),
        ("a $ sign, $HOME and 5$", "a $ sign, $HOME and 5$"),
        ("}{", "}{"),
    ],
)
def test_what_a_text_becomes(text: str, value: str) -> None:
    assert filled(text) == value
    assert list(problems(text, ENDPOINTS, ENVIRON)) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${apii.url}", f"unknown variable '${{apii.url}}'{EXPECTED} (did you mean '${{api.url}}'?)"),
        ("${api.ulr}", f"unknown variable '${{api.ulr}}'{EXPECTED} (did you mean '${{api.url}}'?)"),
        ("${apo.wsurl}", f"unknown variable '${{apo.wsurl}}'{EXPECTED} (did you mean '${{api.ws_url}}'?)"),
        ("${api}", f"unknown variable '${{api}}'{EXPECTED} (did you mean '${{api.url}}'?)"),
        ("${api:port}", f"unknown variable '${{api:port}}'{EXPECTED} (did you mean '${{api.port}}'?)"),
        ("${api.nonsense}", f"unknown variable '${{api.nonsense}}'{EXPECTED} (did you mean '${{api.url}}'?)"),
        ("${ENV:HOME}", f"unknown variable '${{ENV:HOME}}'{EXPECTED} (did you mean '${{env:HOME}}'?)"),
        ("${env:}", f"unknown variable '${{env:}}'{EXPECTED} (did you mean '${{env:NAME}}'?)"),
        (
            "${workspacefolder}",
            f"unknown variable '${{workspacefolder}}'{EXPECTED} (did you mean '${{workspaceFolder}}'?)",
        ),
        ("${zzz.url}", f"unknown variable '${{zzz.url}}'{EXPECTED}"),
        ("${}", f"unknown variable '${{}}'{EXPECTED}"),
        ("x${api.url", f"'${{api.url' has no closing '}}'{EXPECTED}"),
        ("${env:UNSET}", "'${env:UNSET}' is not set; expected 'UNSET' in the environment of devrun"),
    ],
)
def test_a_variable_without_a_value(text: str, message: str) -> None:
    with pytest.raises(VariableError) as caught:
        filled(text)
    assert caught.value.message == message
    assert caught.value.exit_code == 2
    assert [caught.value.problem] == list(problems(text, ENDPOINTS, ENVIRON))


def test_all_problems_of_a_text_are_found() -> None:
    assert [problem.found for problem in problems("${a.url} ${api.url} $${b.url} ${c", ENDPOINTS)] == [
        "unknown variable '${a.url}'",
        "'${c' has no closing '}'",
    ]


def test_without_an_environment_any_variable_of_it_may_be_set() -> None:
    assert list(problems("${env:UNSET}", ENDPOINTS)) == []


def test_the_names_in_a_text() -> None:
    text = "${api.url} ${auth.port} $${no.url} ${env:no} ${workspaceFolder} ${api.host} ${x.nonsense} ${open.url"
    assert names(text) == ("api", "auth")


def test_what_endpoints_give() -> None:
    assert injected(ENDPOINTS) == {
        "API_URL": "http://127.0.0.1:41507",
        "API_HOST": "127.0.0.1",
        "API_PORT": "41507",
        "MY_AUTH_2_URL": "https://[::1]:443",
        "MY_AUTH_2_HOST": "::1",
        "MY_AUTH_2_PORT": "443",
    }


@settings(deadline=None)
@given(st.text("${}api.url:env$HOME \n", max_size=30))
def test_a_text_expands_exactly_when_it_has_no_problems(text: str) -> None:
    found = list(problems(text, ENDPOINTS, ENVIRON))
    if found:
        with pytest.raises(VariableError) as caught:
            filled(text)
        assert caught.value.problem == found[0]
    else:
        filled(text)


@settings(deadline=None)
@given(st.text())
def test_doubled_dollars_stand_for_any_text(text: str) -> None:
    assert filled(text.replace("$", "$$")) == text
