from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devrun.frontends import FRAMEWORKS, MANAGERS, REMIX_ON_VITE, Frontend, manager, recognise

ALL = (*FRAMEWORKS, REMIX_ON_VITE)


def package(*names: str, script: str = "", **more: Any) -> dict[str, Any]:
    return {"devDependencies": dict.fromkeys(names, "1"), "scripts": {"dev": script} if script else {}, **more}


def found(package: dict[str, Any], *names: str, **configs: str) -> Frontend | None:
    files = {name.replace("_", "."): text for name, text in configs.items()}
    return recognise("web", package, {*names, *files, "package.json"}, files)


def name(one: Frontend | None) -> str | None:
    return None if one is None else one.framework.name


# What `npm create` of each framework writes: dependencies, script, and what must come out.
CREATED = [
    (("next", "react", "react-dom"), "next dev --turbopack", "Next.js", ".env.local", "NEXT_PUBLIC_"),
    (("nuxt", "vue"), "nuxt dev", "Nuxt", ".env", "NUXT_PUBLIC_"),
    (("@sveltejs/kit", "svelte", "vite"), "vite dev", "SvelteKit", ".env.local", "PUBLIC_"),
    (("astro",), "astro dev", "Astro", ".env.local", "PUBLIC_"),
    (("@solidjs/start", "solid-js", "vinxi"), "vinxi dev", "SolidStart", ".env.local", "VITE_"),
    (("@builder.io/qwik", "@builder.io/qwik-city", "vite"), "vite --mode ssr", "Qwik", ".env.local", "PUBLIC_"),
    (("@qwik.dev/core", "vite"), "vite --mode ssr", "Qwik", ".env.local", "PUBLIC_"),
    (("@react-router/dev", "react-router", "vite"), "react-router dev", "React Router", ".env.local", "VITE_"),
    (("@remix-run/dev", "vite"), "remix vite:dev", "Remix with Vite", ".env.local", "VITE_"),
    (("@remix-run/dev",), "remix dev", "Remix", ".env", ""),
    (("expo", "react-native"), "expo start", "Expo", ".env.local", "EXPO_PUBLIC_"),
    (("@angular/core", "@angular/cli"), "ng serve", "Angular", ".env.local", "NG_APP_"),
    (("@angular/core", "@ngx-env/builder"), "ng serve", "Angular with @ngx-env/builder", ".env.local", "NG_APP_"),
    (("react-scripts", "react"), "react-scripts start", "Create React App", ".env.local", "REACT_APP_"),
    (("@vue/cli-service", "vue"), "vue-cli-service serve", "Vue CLI", ".env.local", "VUE_APP_"),
    (("parcel",), "parcel src/index.html", "Parcel", ".env.local", ""),
    (("vite", "vite-plugin-solid", "solid-js"), "vite", "Solid", ".env.local", "VITE_"),
    (("vite", "react"), "vite", "Vite", ".env.local", "VITE_"),
    (("rolldown-vite", "vue"), "vite --host", "Vite", ".env.local", "VITE_"),
]


@pytest.mark.parametrize(
    ("packages", "script", "framework", "path", "prefix"), CREATED, ids=lambda part: str(part)[:30]
)
def test_what_is_created(packages: tuple[str, ...], script: str, framework: str, path: str, prefix: str) -> None:
    one = found(package(*packages, script=script))
    assert one is not None
    assert (one.framework.name, one.path, one.prefix, one.script) == (framework, f"web/{path}", prefix, "dev")
    top = recognise("", package(*packages, script=script), {"package.json"}, {})
    assert top is not None and top.path == path


def test_every_row_is_tried_and_has_its_source() -> None:
    assert {framework for _, _, framework, _, _ in CREATED} == {one.name for one in ALL}
    for one in ALL:
        assert one.source.startswith("https://")
        assert "{}" in one.reads or one.name == "Nuxt"


@pytest.mark.parametrize(
    "text",
    [
        {},
        {"dependencies": None, "scripts": 3},
        {"dependencies": {"next": None}},
        package("react", script="node server.js"),
        package("vite", script="tsc --watch"),
        package("vite", "vitest", script="vitest"),
        package("vite", script="vite build --watch"),
        package("vite", script="vite preview"),
        package("vite", script="./my-vite"),
        package("next", script="tsup --watch", exports={".": "./x.js"}),
        package("next", script="tsup --watch", peerDependencies={"next": "*"}),
        package("vite", "next", script="turbo dev", workspaces=["apps/*"]),
        {**package("next"), "scripts": {"build": "tsc"}},
    ],
    ids=str,
)
def test_what_serves_no_page(text: dict[str, Any]) -> None:
    assert found(text) is None


def test_what_tells_that_it_serves() -> None:
    assert name(found(package("vite"), "index.html")) == "Vite"
    assert name(found(package("vite"), "index.html", "pnpm-workspace.yaml")) is None
    assert name(found(package(script="vite", workspaces=["packages/*"]))) == "Vite"
    assert name(found(package("svelte", "@sveltejs/kit", script="vite dev", exports={}))) == "SvelteKit"
    assert name(found(package("next", script="node server.js"))) == "Next.js"
    assert name(found(package("next"))) == "Next.js"
    assert name(found(package(script="cross-env A=1 next dev -p 3001"))) == "Next.js"


def test_the_script_is_the_one_that_serves() -> None:
    one = found({"dependencies": {"vite": "8"}, "scripts": {"dev": "tsc -w", "start": "vite", "serve": "vite preview"}})
    assert one is not None and one.script == "start"
    one = found({"dependencies": {"next": "16"}, "scripts": {"start": "node server.js"}})
    assert one is not None and one.script == "start"
    one = found({"dependencies": {"next": "16"}})
    assert one is not None and one.script is None


@pytest.mark.parametrize(
    ("config", "path", "prefix"),
    [
        ("export default { envDir: '..', envPrefix: \"APP_\" }", ".env.local", "APP_"),
        ("export default { envDir: './env' }", "web/env/.env.local", "VITE_"),
        ("export default { envDir: process.cwd(), envPrefix: ['A_', 'B_'] }", "web/.env.local", "VITE_"),
        ("export default { envPrefix: 'not a name' }", "web/.env.local", "VITE_"),
        ("export default { envDir: `${root}/env` }", "web/.env.local", "VITE_"),
        ("", "web/.env.local", "VITE_"),
    ],
)
def test_a_config_of_vite_may_say_otherwise(config: str, path: str, prefix: str) -> None:
    one = found(package("vite", script="vite"), vite_config_ts=config)
    assert one is not None
    assert (one.path, one.prefix) == (path, prefix)


def test_the_config_of_sveltekit() -> None:
    kit = package("@sveltejs/kit", "vite", script="vite dev")
    one = found(kit, svelte_config_js="kit: { env: { publicPrefix: 'OPEN_' } }", vite_config_ts="envPrefix: 'X_'")
    assert one is not None and one.prefix == "OPEN_"


@pytest.mark.parametrize(("lock", "program"), MANAGERS)
def test_the_lock_file_tells_the_manager(lock: str, program: str) -> None:
    assert manager({}, {lock, "package.json"}) == program
    assert manager({"packageManager": 3}, {lock}) == program
    assert manager({"packageManager": "deno@2"}, {lock}) == program
    assert manager({"packageManager": "yarn@4.1.0+sha224.abc"}, {lock}) == "yarn"


def test_without_a_lock_file_the_manager_is_unknown() -> None:
    assert manager({}, {"package.json"}) is None


def test_readme_has_the_same_table() -> None:
    rows = [
        f"| [{one.name}]({one.source}) | `{one.path}` | {f'`{one.prefix}`' if one.prefix else 'none'} "
        f"| `{one.reads.format(one.prefix + 'API_URL')}` | {one.note}".rstrip()
        + " |"
        for one in sorted(ALL, key=lambda one: one.name.lower())
    ]
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert "\n".join(["| --- | --- | --- | --- | --- |", *rows]) in readme
