"""The nouns of the harness: frozen values that every room hands to the next.

Nothing of ours is imported here, and nothing heavy. Every value can be written as JSON with
:func:`to_json` and read back with ``from_json`` of its class.
"""

from harness.types.models import Adapter, AdapterKind, Base, Optimizer, Schedule
from harness.types.plain import to_json
from harness.types.replies import (
    Case,
    DecodeMode,
    Decoding,
    FinishReason,
    Generation,
    Grammar,
    GrammarKind,
    Reply,
    Request,
)
from harness.types.rows import Encoded, Message, Sample, Source, ToolCall
from harness.types.verdicts import Failure, Outcome, Verdict

__all__ = [
    "Adapter",
    "AdapterKind",
    "Base",
    "Case",
    "DecodeMode",
    "Decoding",
    "Encoded",
    "Failure",
    "FinishReason",
    "Generation",
    "Grammar",
    "GrammarKind",
    "Message",
    "Optimizer",
    "Outcome",
    "Reply",
    "Request",
    "Sample",
    "Schedule",
    "Source",
    "ToolCall",
    "Verdict",
    "to_json",
]
