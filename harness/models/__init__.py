"""Models on disk: base models, adapters, and the two merged."""

from harness.models.adapter import ADAPTER_WEIGHTS, CANARY, HARNESS_FILE, adapter_hash, read_adapter
from harness.models.base import resolve_base
from harness.models.merge import merge_adapter

__all__ = ["ADAPTER_WEIGHTS", "CANARY", "HARNESS_FILE", "adapter_hash", "merge_adapter", "read_adapter", "resolve_base"]
