"""Where the parts of the memory that outlives an engine begin."""

from __future__ import annotations

HITS_AT = 4096 + (8 << 20) + 4096
NAMES_AT = HITS_AT + (1 << 22)
QUESTIONS_AT = NAMES_AT + (1 << 25)
SESSIONS_AT = QUESTIONS_AT + (1 << 21)
