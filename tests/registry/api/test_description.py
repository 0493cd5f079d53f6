"""The description under /api/openapi.json is what the registry does: a machine asks it thousands of things."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from tests.parts.registry import Running
from tests.registry.protocol.pushing import digest, pushed

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,ignored_auth"
)
SECONDS = 12


def test_every_described_address_answers_as_described(door: Running, admin: httpx.Client, tmp_path: Path) -> None:
    top = pushed(admin, "described/app", "1")[0]
    assert admin.get(f"/api/layers/{digest(top)}").status_code == 200
    # TRACE is refused by nginx itself, which names no other methods.
    checks = CHECKS + (",unsupported_method" if "--direct" in door.arguments else "")
    schemathesis = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [
            *(schemathesis, "--no-color", "run", f"{door.url}/api/openapi.json", "--tls-verify", door.ca),
            *("--auth", f"admin:{door.password}", "--checks", checks, "--max-examples", "15", "--seed", "1"),
            *("--max-time", str(SECONDS), "--request-timeout", "20", "--phases", "examples,coverage,fuzzing"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=4 * SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
