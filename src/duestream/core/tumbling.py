"""Tumbling windows: a function that sums up what a stream brings in each stretch of time.

Source: Lambda Developer Guide, "Configuring tumbling windows". Windows are aligned to 1970; a record belongs to the
window of its ApproximateCreationDateTime. The function gets the state it returned last, and a last call without
records when the window is over.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

#: A larger state ends its window early.
MAX_STATE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """An open window of one lane."""

    start_ms: int
    state: Mapping[str, Any] = field(default_factory=dict)
    #: Its last call is due before its time, as its state grew too large.
    is_early: bool = False

    def after(self, answer: bytes) -> "Window":
        """The window with the state that the function returned."""
        try:
            response = json.loads(answer) if answer else None
        except ValueError:
            response = None
        state = response.get("state") if isinstance(response, dict) else None
        if not isinstance(state, dict):
            return replace(self, state={})
        if len(json.dumps(state, separators=(",", ":")).encode()) > MAX_STATE_BYTES:
            return replace(self, is_early=True)
        return replace(self, state=state)


def window_start(created_at_ms: int, length_ms: int) -> int:
    """When the window began that a moment belongs to."""
    seconds_ms = created_at_ms // 1000 * 1000
    return seconds_ms - seconds_ms % length_ms
