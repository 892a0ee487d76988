"""The pipeline: a thin script a stage, each run as ``python -m stages.<name>``.

Threads that wait for one another give their core up soon. By default they hold it for milliseconds, and where
anything else runs on the machine, a step of many small products takes up to twenty times as long.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")
