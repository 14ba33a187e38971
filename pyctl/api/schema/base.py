"""What all bodies of the API have in common. In: JSON, or values of the agent. Out: base classes. I/O: none."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, model_validator

from pyctl.model.text import harmless_values


class Request(BaseModel):
    """Unknown keys are refused: a mistyped option must not be dropped in silence. So is what is no text:
    half a character, as JSON can spell it, could be kept, but in no answer be told.
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
    """Names in it may be a workload's own choice: one that is no UTF-8 costs nobody the answer."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _is_harmless(cls, body: object) -> object:
        return harmless_values(body)
