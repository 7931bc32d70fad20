"""A cache of folders that are expensive to build: converted models, merged models, adapters, prepared data."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from harness.store.digests import DigestCache
from harness.store.disk import folder_bytes, require_space, saving, sync_folder, sync_tree
from harness.store.entries import ENTRY_FILE, describe_folder, entry_problems, write_record
from harness.store.hashing import canonical_json
from harness.store.home import CacheKind, Home
from harness.store.locks import hold, is_locked, try_hold
from harness.store.usage import living_users, mark_used

OnText = Callable[[str], None]
BUILDING = ".building"
DAMAGED = ".damaged"
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


class FolderCache:
    """Folders of one kind by content key, for any number of processes at once.

    An entry appears as a whole or not at all, and is checked against its recorded digests whenever it
    is looked up. A damaged one is set aside, reported, and built anew.
    """

    def __init__(self, home: Home, kind: CacheKind, *, on_warning: OnText | None = None) -> None:
        """Touch no file yet; ``on_warning`` receives sentences for people (default: the log)."""
        self.home = home
        self.kind = kind
        self.folder = home.cache(kind)
        self._warn = on_warning or logging.getLogger("harness.store").warning

    def find(self, key: str) -> Path | None:
        """Return the folder of a whole entry, or None.

        From then on until this process ends, the entry is not pruned.
        """
        folder = self.path(key)
        if not folder.is_dir():
            return None
        mark_used(self._users(key))
        if not self.problems(key):
            with contextlib.suppress(OSError):  # a read-only home can be read all the same
                os.utime(folder / ENTRY_FILE)
            return folder
        with try_hold(self.lock(key), "setting a damaged entry aside") as held:
            # not held: another process is about to replace it
            return self._check(key) if held else None

    def get_or_build(
        self,
        key: str,
        describe: str,
        builder: Callable[[Path], None],
        *,
        info: Mapping[str, Any] | None = None,
        needed: int | None = None,
        on_wait: OnText | None = None,
    ) -> Path:
        """Return the folder of ``key``; if there is none, let ``builder`` fill a new one.

        Of several processes that ask at once, one builds and the others wait for it. When the builder
        raises, nothing is kept, and whatever was there before is untouched.

        Args:
            key: the digest of all that the content depends on.
            describe: what it is, for people: shown in lists and to processes that wait.
            builder: called with an empty folder.
            info: JSON data that is recorded with the entry.
            needed: the bytes it will take, if known: checked before the builder is called.
            on_wait: called with a sentence when another process is building it (default: ``on_warning``).

        Raises:
            StoreError: there is no space, or the home cannot be written.
            TypeError: ``info`` has no JSON form.
        """
        canonical_json(info)  # said before hours of training, not after
        found = self.find(key)
        if found is not None:
            return found
        self.home.create()
        with hold(self.lock(key), f"building {describe}", on_wait or self._warn):
            found = self._check(key)
            if found is None:
                self._build(key, describe, builder, info or {}, needed)
                found = self.path(key)
            mark_used(self._users(key))
            return found

    def problems(self, key: str, *, thorough: bool = False) -> list[str]:
        """Return what is wrong with an entry; ``thorough`` reads every byte, whatever the file times say."""
        with DigestCache(None if thorough else self.home) as digests:
            return entry_problems(self.path(key), digests)

    def remove(self, key: str) -> int | None:
        """Remove an entry and return the bytes freed; None when it is in use or being built (or not there)."""
        folder = self.path(key)
        with try_hold(self.lock(key), "removing it") as held:
            if not held or not folder.is_dir() or self.users(key):
                return None
            trash = self._side_folder(BUILDING, f"{key}~{uuid4().hex}")
            folder.rename(trash)
            if self.users(key):  # found by someone at the very same moment
                trash.rename(folder)
                return None
            size = folder_bytes(trash)
            shutil.rmtree(trash, ignore_errors=True)
            return size

    def keys(self) -> list[str]:
        """Return the keys of all entries, damaged ones included."""
        try:
            return sorted(path.name for path in self.folder.iterdir() if _KEY.fullmatch(path.name))
        except FileNotFoundError:
            return []

    def users(self, key: str) -> list[int]:
        """Return the pids of living processes that use the entry."""
        return living_users(self._users(key))

    def is_building(self, key: str) -> bool:
        """Whether a process is building (or removing) the entry right now."""
        return is_locked(self.lock(key))

    def path(self, key: str) -> Path:
        """Where the entry lies, whether or not it is there."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a cache key: {key!r}")
        return self.folder / key

    def lock(self, key: str) -> Path:
        """The lock file of an entry."""
        return self.home.locks / self.kind / f"{key}.lock"

    def sweep(self) -> int:
        """Remove what crashed builds left, and damaged entries; return the bytes freed."""
        freed = 0
        for area in (BUILDING, DAMAGED):
            for leftover in sorted((self.folder / area).glob("*")):
                with try_hold(self.lock(_key_of(leftover)), "cleaning up") as held:
                    if held:
                        freed += folder_bytes(leftover)
                        shutil.rmtree(leftover, ignore_errors=True)
        return freed

    def _users(self, key: str) -> Path:
        return self.home.locks / self.kind / f"{key}.users"

    def _check(self, key: str) -> Path | None:
        """Return a whole entry, or set a damaged one aside; the caller holds the lock."""
        folder = self.path(key)
        if not folder.is_dir():
            return None
        problems = self.problems(key)
        if not problems:
            return folder
        aside = self._side_folder(DAMAGED, key)
        if aside.exists():
            shutil.rmtree(aside)
        folder.rename(aside)
        self._warn(
            f"the cache entry {self.kind}/{key} is damaged and will be built anew: {'; '.join(problems)}. "
            f"It was moved to {aside} (`harness cache prune` removes it)."
        )
        return None

    def _build(
        self, key: str, describe: str, builder: Callable[[Path], None], info: Mapping[str, Any], needed: int | None
    ) -> None:
        if needed is not None:
            require_space(describe, self.folder, needed)
        self._clear_leftovers(key)
        # never the same name twice: what a killed build started may live on for a moment and write to its folder
        folder = self._side_folder(BUILDING, f"{key}~{uuid4().hex}")
        try:
            with saving(describe, folder, needed):
                folder.mkdir()
                builder(folder)
                write_record(folder, describe_folder(folder, self.kind, key, describe, info))
                sync_tree(folder)
                folder.rename(self.path(key))
                sync_folder(self.folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _side_folder(self, area: str, name: str) -> Path:
        path = self.folder / area / name
        with saving("the cache", path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _clear_leftovers(self, own: str) -> None:
        """Remove what builds left when their processes died; the caller holds the lock of the key ``own``."""
        for leftover in (self.folder / BUILDING).glob("*"):
            key = _key_of(leftover)
            with try_hold(self.lock(key), "cleaning up") as held:
                if held or key == own:
                    shutil.rmtree(leftover, ignore_errors=True)


def _key_of(leftover: Path) -> str:
    return leftover.name.partition("~")[0]
