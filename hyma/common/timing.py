"""What a computation takes: seconds on the wall, and CPU seconds of the process, those of all its threads added up.

Wall seconds grow with whatever else the machine does, CPU seconds hardly.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock


@dataclass(eq=False)
class Spent:
    """What a computation took so far."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


class Stopwatch:
    """Times computations; those that are under way at once, in threads, share what passes in equal parts.

    So what all of them spent is what passed while any was under way: no second is counted twice, however many
    threads there are, nor is one lost that a library's own threads computed in.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: list[Spent] = []
        self._last = (0.0, 0.0)

    def start(self) -> Spent:
        """Begin to time a computation."""
        spent = Spent()
        with self._lock:
            self._share()
            self._running.append(spent)
        return spent

    def stop(self, spent: Spent) -> None:
        """End it: `spent`, which `start` gave, stays as it is then."""
        with self._lock:
            self._share()
            self._running.remove(spent)

    @contextmanager
    def running(self) -> Iterator[Spent]:
        """Time what is done within."""
        spent = self.start()
        try:
            yield spent
        finally:
            self.stop(spent)

    def _share(self) -> None:
        now = time.perf_counter(), time.process_time()
        wall, cpu = (after - before for after, before in zip(now, self._last, strict=True))
        for spent in self._running:
            spent.seconds += wall / len(self._running)
            spent.cpu_seconds += cpu / len(self._running)
        self._last = now
