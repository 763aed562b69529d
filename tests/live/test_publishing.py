"""The files of a running stack follow its endpoints and its plan."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from devrun.errors import FileError
from devrun.events import Notice, Warned, Wrote
from devrun.lock import State, open_state, repair
from devrun.outputs import envfile
from devrun.plan import Endpoint, EnvFilePlan, Plan
from devrun.project import Project
from devrun.publishing import Publisher
from devrun.state import Snapshot
from devrun.step import initial
from tests.driver import DEADLINE


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return Project(tmp_path, tmp_path / "devrun.toml")


@pytest.fixture
def state(shop: Project) -> Iterator[State]:
    with open_state(shop) as opened:
        yield opened


def plan_of(shop: Project, *names: str, prefix: str = "") -> Plan:
    files = tuple(EnvFilePlan(shop.folder / name, prefix, None, {}, False) for name in names)
    return Plan("shop", shop.folder, {}, files, {}, "shop-1")


def at(*ports: int) -> dict[str, Endpoint]:
    return {name: Endpoint(name, "127.0.0.1", port) for name, port in zip(("api", "web"), ports, strict=False)}


def snapshot(*ports: int) -> Snapshot:
    return initial("shop-1", at(*ports), {})


def block(*ports: int, prefix: str = "") -> bytes:
    return envfile.render(
        {
            prefix + key: value
            for name, endpoint in at(*ports).items()
            for key, value in (
                (f"{name.upper()}_URL", endpoint.url),
                (f"{name.upper()}_HOST", "127.0.0.1"),
                (f"{name.upper()}_PORT", str(endpoint.port)),
            )
        }
    )


async def until(condition: object, notices: list[Notice]) -> None:
    """Wait until ``condition`` has been told."""
    async with asyncio.timeout(DEADLINE):
        while condition not in notices:
            await asyncio.sleep(0.005)


def test_the_files_follow_the_endpoints(shop: Project, state: State) -> None:
    async def play() -> None:
        told: list[Notice] = []
        publisher = Publisher(plan_of(shop, ".env"), state, told.append)
        publisher.publish(at(1))
        assert told == [Wrote(".env")] and (shop.folder / ".env").read_bytes() == block(1)
        told.clear()
        publisher.update(snapshot(1))
        publisher.update(snapshot(2))
        publisher.update(snapshot(3, 4))
        await until(Wrote(".env"), told)
        while (shop.folder / ".env").read_bytes() != block(3, 4):
            await until(Wrote(".env"), told)
            told.clear()
        document = tomllib.loads(shop.state_file.read_text())
        assert {name: end["port"] for name, end in document["endpoints"].items()} == {"api": 3, "web": 4}
        publisher.close()
        assert not (shop.folder / ".env").exists() and not shop.state_file.exists()

    asyncio.run(play())


def test_a_snapshot_with_the_same_endpoints_touches_nothing(shop: Project, state: State) -> None:
    async def play() -> None:
        publisher = Publisher(plan_of(shop, ".env"), state, lambda _: None)
        publisher.publish(at(1))
        stamps = {p: p.stat().st_mtime_ns for p in (shop.folder / ".env", shop.state_file)}
        publisher.update(replace(snapshot(1), seq=7))
        publisher.replan(plan_of(shop, ".env"))
        publisher.update(replace(snapshot(1), seq=8))
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
        publisher.close()

    asyncio.run(play())


def test_another_plan_brings_other_files(shop: Project, state: State) -> None:
    async def play() -> None:
        told: list[Notice] = []
        (shop.folder / ".env").write_bytes(b"A=1")
        publisher = Publisher(plan_of(shop, ".env"), state, told.append)
        publisher.publish(at(1))
        publisher.replan(plan_of(shop, "web.env", prefix="VITE_"))
        await until(Wrote("web.env"), told)
        assert (shop.folder / ".env").read_bytes() == b"A=1"
        assert (shop.folder / "web.env").read_bytes() == block(1, prefix="VITE_")
        publisher.close()

    asyncio.run(play())


def test_what_fails_is_told_once_and_takes_nothing_down(shop: Project, state: State) -> None:
    async def play() -> None:
        told: list[Notice] = []
        publisher = Publisher(plan_of(shop, "bad", "good"), state, told.append)
        publisher.publish(at(1))
        (shop.folder / "bad").chmod(0o444)
        for port in (2, 3):
            told_before = told.count(Wrote("good"))
            publisher.update(snapshot(port))
            async with asyncio.timeout(DEADLINE):
                while told.count(Wrote("good")) == told_before:
                    await asyncio.sleep(0.005)
        warned = [notice.message for notice in told if isinstance(notice, Warned)]
        assert len(warned) == 1 and "bad: it is read-only" in warned[0]
        with pytest.raises(FileError, match="bad: it is read-only"):
            publisher.close()
        assert not (shop.folder / "good").exists()

    asyncio.run(play())
    (shop.folder / "bad").chmod(0o644)


def test_the_end_does_not_cross_a_change_that_is_being_written(shop: Project, state: State) -> None:
    async def play(port: int) -> None:
        publisher = Publisher(plan_of(shop, ".env", "second"), state, lambda _: None)
        publisher.publish(at(1))
        publisher.update(snapshot(port))
        # The thread is started by this step at most: it may be before, within or after its first file.
        await asyncio.sleep(port * 0.0002)
        publisher.close()
        publisher.update(snapshot(port + 1))
        publisher.replan(plan_of(shop, "third"))

    for port in range(2, 30):
        asyncio.run(play(port))
        assert [path.name for path in shop.folder.iterdir()] == [".devrun"]
        assert not shop.state_file.exists() and repair(shop) == ()
