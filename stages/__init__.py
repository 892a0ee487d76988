"""The pipeline: a thin script a stage, each run as ``python -m stages.<name>``.

Threads that wait for one another give their core up soon. By default they hold it for milliseconds, and where
anything else runs on the machine, a step of many small products takes up to twenty times as long. And memory that a
step of training frees is kept for the next one: by default large pieces go back to the system, which clears them anew.
"""

import ctypes
import os

from hyma.cli.ending import quiet_interruption

STOPPED = "stopped; `dvc repro` goes on from here"
"""What a stage says when somebody pressed Ctrl-C."""
quiet_interruption(STOPPED)

os.environ.setdefault("GOMP_SPINCOUNT", "1000")

MALLOPT = {"M_MMAP_THRESHOLD": (-3, 2**25), "M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_TOP_PAD": (-2, 2**26)}
"""Settings of glibc's allocator, by name: number and value (bytes), the largest that it takes or enough."""

_mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
if _mallopt is not None:
    for _number, _value in MALLOPT.values():
        _mallopt(_number, _value)
