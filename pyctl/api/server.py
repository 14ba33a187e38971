"""The agent's HTTP/JSON API (OpenAPI at /openapi.json): routes, and nothing but routes.

In: an Agent. Out: a FastAPI application. Handlers are plain functions, which FastAPI runs in its
thread pool: the agent's calls block on netlink, and its loop makes changes one at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from pyctl.agent.agent import Agent
from pyctl.api.schema import workloads as schema
from pyctl.api.v1 import (
    containers,
    history,
    hits,
    learning,
    metrics,
    node,
    policy,
    question,
    revision,
    workloads,
)
from pyctl.api.wrong import unforeseen, wrong
from pyctl.errors import SegctlError, UsageError


def create_app(agent: Agent, on_stop: Callable[[], None]) -> FastAPI:
    """Return the application; `on_stop` ends the process after the answer has been sent."""
    app = FastAPI(
        title="segctl agent", version=version("segctl"), docs_url=None, redoc_url=None
    )
    app.add_exception_handler(SegctlError, _segctl_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(OSError, _unforeseen)
    app.add_exception_handler(Exception, _unforeseen)
    for router in (
        workloads.router(agent),
        policy.router(agent),
        question.router(agent),
        revision.router(agent),
        containers.router(agent),
        hits.router(agent),
        learning.router(agent),
        history.router(agent),
        node.router(agent, on_stop),
    ):
        app.include_router(router, prefix=schema.PREFIX)
    app.include_router(metrics.router(agent))
    return app


def _answer(error: SegctlError) -> JSONResponse:
    body = schema.ErrorResponse(error=schema.ErrorBody.of(error))
    return JSONResponse(body.model_dump(), status_code=schema.HTTP_STATUS[error.code])


def _segctl_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, SegctlError):
        raise error
    return _answer(error)


def _unforeseen(_request: Request, error: Exception) -> JSONResponse:
    return _answer(unforeseen(error))


def _bad_request(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    told = "; ".join(
        f"{'.'.join(str(part) for part in item['loc'][1:])}: {wrong(item)}".lstrip(": ")
        for item in error.errors()
    )
    return _answer(UsageError(told, state="nothing was touched"))
