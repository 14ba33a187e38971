"""A daemon that answers what Docker's API answers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.unit.unix_http import serving


def docker_at(
    path: Path, answers: dict[str, tuple[int, Any]]
) -> AbstractContextManager[None]:
    """`answers`: container reference → (HTTP status, body)."""

    def answer(_method: str, url: str, _body: Any) -> tuple[int, Any]:
        if url.endswith("/version"):
            return 200, {"ApiVersion": "1.45", "MinAPIVersion": "1.24"}
        reference = url.partition("/containers/")[2].removesuffix("/json")
        return answers.get(reference, (404, {"message": "No such container"}))

    return serving(path, answer)


def inspected(**changes: Any) -> dict[str, Any]:
    """What inspect says of a running container."""
    return {
        "Id": "0123456789abcdef" * 4,
        "Name": "/shop",
        "State": {"Pid": 4242, "Running": True, "Status": "running"},
        "Config": {"Image": "nginx:1", "Labels": {"app": "shop"}},
        **changes,
    }
