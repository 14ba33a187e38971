"""The base classes of all bodies of the API. In: JSON, or values of the agent. Out: base classes. I/O: none."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, model_validator

from pyctl.model.text import harmless_values


class Request(BaseModel):
    """A request body. Unknown keys are refused, so that no mistyped option is ignored; so is text with lone
    surrogates, which JSON can spell and no answer could contain.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _is_text(cls, body: object) -> object:
        try:
            json.dumps(body, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError as error:
            raise ValueError("must be UTF-8, in every name and value") from error
        return body


class Response(BaseModel):
    """An answer body. Names in it may be a workload's own choice: text that is not UTF-8 is made harmless."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _is_harmless(cls, body: object) -> object:
        return harmless_values(body)
