"""Patches on the user's disk, so that a second run reads no image: checked, shared, bounded."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import struct
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capsmed.data.folders import STALE_SECONDS, cache_folder
from capsmed.errors import ConfigError

LIMIT = "CAPSMED_CACHE_GB"
DEFAULT_GB = 10.0

_MAGIC = b"capsmed patch 1\n"
_HEAD = struct.Struct("<32sI")  # checksum of all that follows it, bytes of the description
_TOUCH_SECONDS = 3600  # a patch's time of use is kept this exactly
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cut:
    """One patch, cut and scaled.

    Attributes:
        values: float32 [channels, *size + 2 * margin], 0 to 1.
        padded: share of the voxel centres, without margin, outside the volume.
        findings: checks that the image fails and whose policy is 'warn'.
    """

    values: np.ndarray
    padded: float
    findings: tuple[str, ...]


class PatchCache:
    """One file a patch, named by `patch_key`; whatever is wrong with a file, it is not used.

    Files appear whole, by renaming, so any number of processes may share the folder. A disk
    that is full or cannot be written costs one warning and the cache, not the run.

    Args:
        folder: where the files are.
        limit: bytes that may stay there; the patches that were used longest ago go. 0: no cache.
    """

    def __init__(self, folder: Path, limit: float) -> None:
        self.folder, self.limit = folder, limit
        self._lock = threading.Lock()
        self._writable, self._written = limit > 0, 0

    @classmethod
    def default(cls) -> PatchCache:
        """The user's own, ``patches`` in the cache folder, of at most CAPSMED_CACHE_GB.

        Raises:
            ConfigError: the variable is no number of gigabytes.
        """
        gigabytes = _gigabytes()
        try:
            return cls(cache_folder() / "patches", gigabytes * 1e9)
        except RuntimeError:  # a user without a home
            return cls(Path(), 0)

    def get(self, key: str) -> Cut | None:
        """The patch of this name, None where it is missing or damaged."""
        path = self._path(key)
        if not self.limit:
            return None
        try:
            content = path.read_bytes()
        except OSError:
            return None
        found = _decoded(content, key)
        if found is None:
            _log.info("%s: damaged, so the patch is cut anew", path)
            return None
        self._touch(path)
        return found

    def put(self, key: str, cut: Cut) -> None:
        """Keep a patch under this name."""
        if not self._writable:
            return
        path, content = self._path(key), _encoded(cut, key)
        temporary = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # pixels of patients
            path.parent.mkdir(exist_ok=True)
            temporary.write_bytes(content)
            os.replace(temporary, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            self._give_up(error)
            return
        with self._lock:
            self._written += len(content)
            crowded = self._written > self.limit / 10
        if crowded:
            self.prune()

    def prune(self) -> None:
        """Remove the patches used longest ago until the rest is within the limit.

        Does nothing when nothing was written since the last time.
        """
        with self._lock:
            if not self._written:
                return
            self._written = 0
            found = sorted(self._sizes())
        excess = sum(size for _, size, _ in found) - self.limit
        for _, size, path in found:
            if excess <= 0:
                return
            with contextlib.suppress(OSError):  # another process was faster, or reads it
                path.unlink()
            excess -= size

    def _sizes(self) -> list[tuple[float, int, Path]]:
        """Time of last use, bytes and path of each patch; a killed write's remains go."""
        found = []
        for path in self.folder.glob("*/*"):
            with contextlib.suppress(OSError):
                at = path.stat()
                if path.suffix != ".part":
                    found.append((at.st_mtime, at.st_size, path))
                elif time.time() - at.st_mtime > STALE_SECONDS:
                    path.unlink()
        return found

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.patch"

    def _touch(self, path: Path) -> None:
        with contextlib.suppress(OSError):  # a cache that may only be read
            if time.time() - path.stat().st_mtime > _TOUCH_SECONDS:
                os.utime(path)

    def _give_up(self, error: OSError) -> None:
        with self._lock:
            first, self._writable = self._writable, False
        if first:
            reason = error.strerror or str(error)
            _log.warning(
                "%s: cannot be written (%s); patches are not cached: free some space, or name "
                "another folder by CAPSMED_CACHE",
                self.folder,
                reason,
            )


def _gigabytes() -> float:
    given = os.environ.get(LIMIT) or str(DEFAULT_GB)
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not value >= 0:
        raise ConfigError(
            f"{LIMIT}: expected a number of gigabytes, 0 for no cache, got {given!r}; set it so"
        )
    return value


def _encoded(cut: Cut, key: str) -> bytes:
    facts = {"shape": cut.values.shape, "padded": cut.padded, "findings": cut.findings}
    about = json.dumps(facts).encode()
    body = about + np.ascontiguousarray(cut.values, dtype="<f4").tobytes()
    return _MAGIC + _HEAD.pack(_checksum(key, body), len(about)) + body


def _decoded(content: bytes, key: str) -> Cut | None:
    """The patch in a file's content, None unless every byte is as it was written."""
    start = len(_MAGIC) + _HEAD.size
    if len(content) < start or not content.startswith(_MAGIC):
        return None
    checksum, length = _HEAD.unpack_from(content, len(_MAGIC))
    if checksum != _checksum(key, memoryview(content)[start:]):
        return None
    facts = json.loads(content[start : start + length])
    values = np.frombuffer(content, dtype="<f4", offset=start + length).reshape(facts["shape"])
    return Cut(values.astype(np.float32, copy=False), facts["padded"], tuple(facts["findings"]))


def _checksum(key: str, body: bytes | memoryview) -> bytes:
    found = hashlib.sha256(key.encode())
    found.update(body)
    return found.digest()
