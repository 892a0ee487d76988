"""What an earlier run left in DVC's cache: an output's files, by the paths that they had.

DVC deletes a stage's outputs before it runs it again, but its lock file still says what they were, and its cache still
has them: from the last run here, or pulled from where somebody else's run was pushed to.
"""

import hashlib
import json
import logging
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from hyma.common.errors import HymaError

LOCK = Path("dvc.lock")
LOCKS = (LOCK, Path("inputs/dvc.lock"))
"""Of all pipelines whose outputs are in DVC's cache."""

log = logging.getLogger(__name__)


class Earlier:
    """The outputs that a lock file names."""

    def __init__(self, lock: Path = LOCK):
        self.lock = lock
        self._members = cache(self._read_members)

    def file(self, path: Path) -> Path | None:
        """Where DVC's cache has what an output was, or the file at this path within one; None if nowhere."""
        for place in (path, *path.parents):
            digest = self._outs.get(place.as_posix())
            if digest is not None and place != path:
                digest = self._members(digest).get(path.relative_to(place).as_posix())
            if digest is not None:
                return self._object(digest)
        return None

    @cached_property
    def _outs(self) -> dict[str, str]:
        """Path of an output → its digest in the cache."""
        if not self.lock.is_file():
            return {}
        stages: dict[str, Any] = yaml.load(self.lock.read_text(), yaml.CSafeLoader).get("stages", {})
        outs = [out for stage in stages.values() for out in stage.get("outs", [])]
        return {out["path"]: out["md5"] for out in outs if "md5" in out}

    def _read_members(self, digest: str) -> dict[str, str]:
        """Path within a folder that is an output → digest."""
        found = self._object(digest)
        if found is None:
            return {}
        return {member["relpath"]: member["md5"] for member in json.loads(found.read_text())}

    def _object(self, digest: str) -> Path | None:
        """The file of this digest, if it is there and whole.

        DVC takes files in its cache that are read-only for what their names say. One that is not is deleted, as DVC
        does where it looks: else it would never be replaced.
        """
        found = None if self._cache is None else Path(self._cache.oid_to_path(digest))
        if found is None or not found.is_file():
            return None
        with found.open("rb") as stream:
            actual = hashlib.file_digest(stream, "md5").hexdigest()
        if actual == digest.partition(".")[0]:
            return found
        log.warning("%s: damaged in DVC's cache: deleted", found)
        with suppress(OSError):
            found.unlink()
        return None

    @cached_property
    def _cache(self) -> Any:
        """DVC's cache; importing DVC takes most of a second, which only those pay who look for something."""
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        try:
            with Repo(str(self.lock.parent)) as repo:
                return repo.cache.local
        except DvcException:
            return None


def damaged(path: Path, why: str = "it is not what was written") -> HymaError:
    """What to raise for such a file; DVC's copy, if that is damaged, too, is deleted and so does not come back."""
    for lock in LOCKS:
        Earlier(lock).file(path)
    return HymaError(f"{path}: damaged ({why}); delete it and run `dvc repro`")
