"""Addresses that the stack only refers to, in everything that tells where things are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.driver import Stack, write_files

PROJECT = {
    "devrun.toml": """
        [apps.api]
        app = "main:app"
        env = { PAY = "${payments.url}/charge" }
        [external.payments]
        url = "https://pay.example.com/v2"
        [external.cache]
        url = "redis://cache"
    """,
    "main.py": """
        import json, os

        async def app(scope, receive, send):
            if scope["type"] == "http":
                names = ("PAY", "PAYMENTS_URL", "PAYMENTS_HOST", "PAYMENTS_PORT", "CACHE_URL")
                body = json.dumps({name: os.environ.get(name) for name in names}).encode()
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": body})
    """,
}


def devrun(folder: Path, *args: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "devrun", *args],
        cwd=folder,
        env={**os.environ},
        text=True,
        capture_output=True,
        check=True,
    ).stdout


def test_an_external_is_told_like_an_app_and_waited_for_by_nobody(tmp_path: Path) -> None:
    with Stack(write_files(tmp_path, PROJECT)) as stack:
        ready = stack.wait_line(r"^\[devrun\] stack ready (.*)")
        assert ready[1].startswith("api=") and " " not in ready[1]
        assert stack.get("api").json() == {
            "PAY": "https://pay.example.com/v2/charge",
            "PAYMENTS_URL": "https://pay.example.com/v2",
            "PAYMENTS_HOST": "pay.example.com",
            "PAYMENTS_PORT": "443",
            "CACHE_URL": "redis://cache",
        }
        assert stack.variables()["PAYMENTS_URL"] == "https://pay.example.com/v2"
        assert stack.variables()["CACHE_PORT"] == "6379"
        assert devrun(tmp_path, "url", "payments") == "https://pay.example.com/v2\n"
        assert devrun(tmp_path, "port", "cache") == "6379\n"
        rows = json.loads(devrun(tmp_path, "status", "--json"))["apps"]
        assert [(row["name"], row["kind"], row["state"]) for row in rows] == [
            ("api", "app", "ready"),
            ("payments", "external", "external"),
            ("cache", "external", "external"),
        ]
        assert "https://pay.example.com/v2" in devrun(tmp_path, "status")
