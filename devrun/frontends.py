"""The frontends that ``devrun init`` knows: which env file each reads in development, and what it shows to browsers.

Pure. Every row was held against that framework's own documentation, which ``source`` names. A row counts when one of
its ``packages`` is among the dependencies or one of the scripts runs its ``tools``; the first one that counts is it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Set
from posixpath import join, normpath
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace


class Framework(Struct, frozen=True):
    """``path``: the env file, beside package.json. ``reads``: how code says the variable ``{}``.

    ``configs``: files that may choose another folder (``folder_key``) or prefix (``prefix_key``). ``note``: what else
    is needed. ``page``: libraries have the same packages, so there must be an index.html or a script that serves.
    """

    name: str
    packages: tuple[str, ...]
    tools: tuple[str, ...]
    path: str
    prefix: str
    reads: str
    source: str
    configs: tuple[str, ...] = ()
    folder_key: str = ""
    prefix_key: str = ""
    page: bool = False
    note: str = ""


_VITE_CONFIGS = tuple(f"vite.config.{suffix}" for suffix in ("ts", "js", "mts", "mjs", "cts", "cjs"))
_META = "import.meta.env.{}"
_PROCESS = "process.env.{}"
_BY_HAND = "reads it only when it starts: restart the dev server after `devrun up`"


def _on_vite(
    name: str,
    packages: tuple[str, ...],
    tools: tuple[str, ...] = (),
    prefix: str = "VITE_",
    *,
    source: str = "https://vite.dev/guide/env-and-mode",
    configs: tuple[str, ...] = (),
) -> Framework:
    """Vite reads the files itself and starts anew when one changes; what is built on it has its own prefix at most."""
    return Framework(
        name, packages, tools, ".env.local", prefix, _META, source, (*configs, *_VITE_CONFIGS), "envDir", "envPrefix"
    )


FRAMEWORKS = (
    Framework(
        name="Next.js",
        packages=("next",),
        tools=("next",),
        path=".env.local",
        prefix="NEXT_PUBLIC_",
        reads=_PROCESS,
        source="https://nextjs.org/docs/app/guides/environment-variables",
    ),
    Framework(
        name="Nuxt",
        packages=("nuxt", "nuxt3", "nuxt-edge"),
        tools=("nuxt", "nuxi"),
        path=".env",
        prefix="NUXT_PUBLIC_",
        reads="useRuntimeConfig().public.apiUrl",
        source="https://nuxt.com/docs/4.x/directory-structure/env",
        note="name it in nuxt.config: runtimeConfig.public.apiUrl stands for NUXT_PUBLIC_API_URL",
    ),
    replace(
        _on_vite("SvelteKit", ("@sveltejs/kit",), prefix="PUBLIC_", configs=("svelte.config.js", "svelte.config.ts")),
        reads="import {{ {} }} from '$env/static/public'",
        source="https://svelte.dev/docs/kit/environment-variables",
        prefix_key="publicPrefix",
        note="SvelteKit 3 wants it declared in src/env.ts, with `public: true`",
    ),
    _on_vite(
        *("Astro", ("astro",), ("astro",), "PUBLIC_"),
        source="https://docs.astro.build/en/guides/environment-variables/",
        configs=tuple(f"astro.config.{suffix}" for suffix in ("mjs", "ts", "js", "mts")),
    ),
    _on_vite(
        *("SolidStart", ("@solidjs/start", "solid-start"), ("vinxi",)),
        source="https://docs.solidjs.com/configuration/environment-variables",
        configs=("app.config.ts", "app.config.js"),
    ),
    _on_vite(
        *("Qwik", ("@builder.io/qwik", "@qwik.dev/core"), ("qwik",), "PUBLIC_"),
        source="https://qwik.dev/docs/env-variables/",
    ),
    _on_vite("React Router", ("@react-router/dev",), ("react-router",)),  # its framework mode is a plugin of Vite
    Framework(
        name="Remix",
        packages=("@remix-run/dev",),
        tools=("remix",),
        path=".env",
        prefix="",
        reads=_PROCESS,
        source="https://remix.run/docs/en/main/guides/envvars",
        note="only the server sees it: the root loader hands on what the browser needs",
    ),
    Framework(
        name="Expo",
        packages=("expo",),
        tools=("expo",),
        path=".env.local",
        prefix="EXPO_PUBLIC_",
        reads=_PROCESS,
        source="https://docs.expo.dev/guides/environment-variables/",
        note="on a phone 127.0.0.1 is the phone itself: give the app a `host` that it can reach",
    ),
    Framework(
        name="Angular with @ngx-env/builder",
        packages=("@ngx-env/builder",),
        tools=(),
        path=".env.local",
        prefix="NG_APP_",
        reads=_META,
        source="https://github.com/chihab/dotenv-run/blob/main/packages/angular/README.md",
        note=_BY_HAND,
    ),
    Framework(
        name="Angular",
        packages=("@angular/core", "@angular/cli"),
        tools=("ng",),
        path=".env.local",
        prefix="NG_APP_",
        reads=_META,
        source="https://angular.dev/tools/cli/environments",
        note="reads no env file by itself: `ng add @ngx-env/builder` makes it read this one, when it starts",
    ),
    Framework(
        name="Create React App",
        packages=("react-scripts",),
        tools=("react-scripts", "craco"),
        path=".env.local",
        prefix="REACT_APP_",
        reads=_PROCESS,
        source="https://create-react-app.dev/docs/adding-custom-environment-variables",
        note=_BY_HAND,
    ),
    Framework(
        name="Vue CLI",
        packages=("@vue/cli-service",),
        tools=("vue-cli-service",),
        path=".env.local",
        prefix="VUE_APP_",
        reads=_PROCESS,
        source="https://cli.vuejs.org/guide/mode-and-env",
        note=_BY_HAND,
    ),
    Framework(
        name="Parcel",
        packages=("parcel", "parcel-bundler"),
        tools=("parcel",),
        path=".env.local",
        prefix="",
        reads=_PROCESS,
        source="https://parceljs.org/features/node-emulation/",
    ),
    replace(
        _on_vite("Solid", ("vite-plugin-solid",)),
        source="https://docs.solidjs.com/configuration/environment-variables",
        page=True,
    ),
    replace(_on_vite("Vite", ("vite", "rolldown-vite"), ("vite",)), page=True),
)
REMIX_ON_VITE = _on_vite(
    *("Remix with Vite", ("@remix-run/dev",), ("remix",)), source="https://remix.run/docs/en/main/guides/vite"
)

MANAGERS = (
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
)
"""Which program runs the scripts, by the lock file."""
_SCRIPTS = ("dev", "start", "serve", "start:dev")


class Frontend(Struct, frozen=True):
    """What was found in one folder, relative to the project ("" is the project itself).

    ``script``: the one of package.json that starts the dev server, if there is one.
    """

    folder: str
    framework: Framework
    path: str
    prefix: str
    script: str | None


def recognise(
    folder: str, package: Mapping[str, Any], names: Collection[str], configs: Mapping[str, str]
) -> Frontend | None:
    """Return the frontend that a package.json describes, if any.

    ``names``: the files beside it. ``configs``: the texts of those that some framework's ``configs`` name.
    """
    packages = {**_texts(package, "dependencies"), **_texts(package, "devDependencies")}.keys()
    scripts = _texts(package, "scripts")
    framework = next((one for one in FRAMEWORKS if _is(one, package, packages, names)), None)
    if framework is None:
        return None
    if framework.name == "Remix" and "vite" in packages:
        framework = REMIX_ON_VITE
    text = "\n".join(configs[name] for name in framework.configs if name in configs)
    elsewhere = _literal(text, framework.folder_key) or ""
    prefix = _literal(text, framework.prefix_key) or ""
    return Frontend(
        folder,
        framework,
        normpath(join(folder, elsewhere, framework.path)),
        prefix if _PREFIX.fullmatch(prefix) else framework.prefix,
        _script(scripts, framework.tools) or next((name for name in _SCRIPTS if name in scripts), None),
    )


def manager(package: Mapping[str, Any], names: Collection[str]) -> str | None:
    """Return the program that runs this package's scripts, by its own word or the lock files beside it."""
    own = package.get("packageManager")
    if isinstance(own, str) and own.partition("@")[0] in {name for _, name in MANAGERS}:
        return own.partition("@")[0]
    return next((name for lock, name in MANAGERS if lock in names), None)


def _is(framework: Framework, package: Mapping[str, Any], packages: Set[str], names: Collection[str]) -> bool:
    scripts = _texts(package, "scripts")
    if _script(scripts, framework.tools):
        return True
    if packages.isdisjoint(framework.packages):
        return False
    serves = _script(scripts, (*framework.tools, "vite")) is not None
    if not package.keys().isdisjoint(_NO_SITE) or "pnpm-workspace.yaml" in names:
        return serves
    if framework.page:
        return serves or "index.html" in names
    return serves or not scripts or not scripts.keys().isdisjoint(_SCRIPTS)


_NO_SITE = ("workspaces", "exports", "peerDependencies")
"""What the package.json of a library or of the root of a monorepo has: both name frameworks that they do not serve."""
_PREFIX = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def _script(scripts: Mapping[str, str], tools: Collection[str]) -> str | None:
    """The script that starts the dev server of one of these tools."""
    words = "|".join(map(re.escape, tools))
    serving = re.compile(rf"(?<![\w@./-])({words})(?![\w./-])(?!\s+(build|preview|export|lint|generate|test)\b)")
    return next((name for name in _SCRIPTS if words and serving.search(scripts.get(name, ""))), None)


def _literal(config: str, key: str) -> str | None:
    """The text that a JavaScript config gives a key, where it is a plain string."""
    found = re.search(rf"""\b{key}\s*:\s*(["'`])([^"'`$\n]+)\1""", config) if key else None
    return None if found is None else found[2]


def _texts(package: Mapping[str, Any], key: str) -> dict[str, str]:
    table = package.get(key)
    items = cast("dict[str, object]", table).items() if isinstance(table, dict) else ()
    return {name: value for name, value in items if isinstance(value, str)}
