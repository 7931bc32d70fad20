"""All cache entries of a home: listing, pruning, clearing and verifying them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.store.disk import folder_bytes
from harness.store.entries import ENTRY_FILE, read_record
from harness.store.folders import FolderCache
from harness.store.home import CACHE_KINDS, CacheKind, Home


@dataclass(frozen=True)
class CacheEntry:
    """One entry, as lists show it. Times are seconds since the epoch, sizes bytes."""

    kind: CacheKind
    key: str
    path: Path
    description: str
    size: int
    created: float
    last_used: float
    users: tuple[int, ...]
    """Pids of living processes that use it."""
    is_building: bool

    @property
    def is_busy(self) -> bool:
        """Whether it must be left alone."""
        return bool(self.users) or self.is_building


@dataclass(frozen=True)
class EntryProblems:
    """What is wrong with one entry."""

    kind: CacheKind
    key: str
    path: Path
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Removal:
    """What pruning did."""

    removed: tuple[CacheEntry, ...]
    kept_busy: tuple[CacheEntry, ...]
    """Entries that should have gone but are in use."""
    freed: int


def cache_entries(home: Home, kinds: Sequence[CacheKind] = CACHE_KINDS) -> list[CacheEntry]:
    """Return the entries of ``kinds``, last used first."""
    caches = [FolderCache(home, kind) for kind in kinds]
    entries = [_entry(cache, key) for cache in caches for key in cache.keys()]  # noqa: SIM118 - not a mapping
    return sorted(entries, key=lambda entry: (-entry.last_used, entry.kind, entry.key))


def prunable(
    home: Home,
    *,
    kinds: Sequence[CacheKind] = CACHE_KINDS,
    older_than: float | None = None,
    max_bytes: int | None = None,
    now: float | None = None,
) -> list[CacheEntry]:
    """Return what :func:`prune` would remove, entries in use included, which it would keep."""
    entries = cache_entries(home, kinds)
    oldest = (now or time.time()) - older_than if older_than is not None else None
    chosen = [entry for entry in entries if oldest is not None and entry.last_used < oldest]
    if max_bytes is not None:
        kept = [entry for entry in entries if entry not in chosen]
        total = sum(entry.size for entry in kept)
        for entry in reversed(kept):
            if total <= max_bytes:
                break
            chosen.append(entry)
            total -= entry.size
    return chosen


def prune(
    home: Home,
    *,
    kinds: Sequence[CacheKind] = CACHE_KINDS,
    older_than: float | None = None,
    max_bytes: int | None = None,
    now: float | None = None,
) -> Removal:
    """Remove what was not used for ``older_than`` seconds, then the longest unused until ``max_bytes`` are met.

    What crashed builds left, and damaged entries set aside, go in any case. Entries in use stay.
    """
    return _remove(home, kinds, prunable(home, kinds=kinds, older_than=older_than, max_bytes=max_bytes, now=now))


def clear(home: Home, kinds: Sequence[CacheKind] = CACHE_KINDS) -> Removal:
    """Remove every entry of ``kinds`` that is not in use."""
    return _remove(home, kinds, cache_entries(home, kinds))


def verify(
    home: Home, kinds: Sequence[CacheKind] = CACHE_KINDS, on_entry: Callable[[CacheEntry], None] | None = None
) -> list[EntryProblems]:
    """Read every byte of every entry and return those that differ from their record.

    ``on_entry`` is called before each entry is read, which may take seconds for a model.
    """
    found = []
    for entry in cache_entries(home, kinds):
        if on_entry is not None:
            on_entry(entry)
        problems = FolderCache(home, entry.kind).problems(entry.key, thorough=True)
        # an entry removed meanwhile has no problem
        if problems and entry.path.is_dir():
            found.append(EntryProblems(entry.kind, entry.key, entry.path, tuple(problems)))
    return found


def _entry(cache: FolderCache, key: str) -> CacheEntry:
    path = cache.path(key)
    users, building = tuple(cache.users(key)), cache.is_building(key)
    try:
        record = read_record(path)
        used = (path / ENTRY_FILE).stat().st_mtime
    except (ValueError, OSError) as error:
        return CacheEntry(cache.kind, key, path, f"damaged: {error}", folder_bytes(path), 0.0, 0.0, users, building)
    return CacheEntry(cache.kind, key, path, record.description, record.size, record.created, used, users, building)


def _remove(home: Home, kinds: Sequence[CacheKind], entries: Iterable[CacheEntry]) -> Removal:
    removed, busy, freed = [], [], 0
    for entry in entries:
        size = FolderCache(home, entry.kind).remove(entry.key)
        if size is not None:
            removed.append(entry)
            freed += size
        elif entry.path.is_dir():
            busy.append(entry)
    freed += sum(FolderCache(home, kind).sweep() for kind in kinds)
    return Removal(tuple(removed), tuple(busy), freed)
