"""Content hashes, caches, the run store and manifests: the only code that touches those files."""

from harness.store.disk import format_bytes, write_atomic
from harness.store.entries import EntryRecord, read_record
from harness.store.folders import FolderCache
from harness.store.hashing import canonical_json, digest, file_digest, folder_digest, matching_files
from harness.store.home import CACHE_KINDS, CacheKind, Home
from harness.store.inventory import CacheEntry, EntryProblems, Removal, cache_entries, clear, prunable, prune, verify
from harness.store.jsonl import JsonlWriter, read_jsonl, write_jsonl
from harness.store.locks import hold, try_hold
from harness.store.manifest import machine, read_manifest, versions, write_manifest
from harness.store.runs import Run, RunStore

__all__ = [
    "CACHE_KINDS",
    "CacheEntry",
    "CacheKind",
    "EntryProblems",
    "EntryRecord",
    "FolderCache",
    "Home",
    "JsonlWriter",
    "Removal",
    "Run",
    "RunStore",
    "cache_entries",
    "canonical_json",
    "clear",
    "digest",
    "file_digest",
    "folder_digest",
    "format_bytes",
    "hold",
    "machine",
    "matching_files",
    "prunable",
    "prune",
    "read_jsonl",
    "read_manifest",
    "read_record",
    "try_hold",
    "verify",
    "versions",
    "write_atomic",
    "write_jsonl",
    "write_manifest",
]
