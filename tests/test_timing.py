"""Seconds and CPU seconds: by a clock that the test turns, and those of real threads."""

import threading
import time
from types import SimpleNamespace

import pytest
import torch

from hyma.common import timing
from hyma.common.params import by_rule
from hyma.common.timing import Spent, Stopwatch
from hyma.methods.shared.run import known, model, run_method
from hyma.stitching.shapes import Shapes
from tests.test_search import CONNECTOR, toy


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still until the test turns it."""
    own = SimpleNamespace(wall=100.0, cpu=7.0)
    stand_in = SimpleNamespace(perf_counter=lambda: own.wall, process_time=lambda: own.cpu)
    monkeypatch.setattr(timing, "time", stand_in)
    return own


def read(spent: Spent) -> tuple[float, float]:
    return spent.seconds, spent.cpu_seconds


def test_one_after_the_other(clock: SimpleNamespace) -> None:
    """What passes between two computations is nobody's."""
    watch = Stopwatch()
    with watch.running() as first:
        clock.wall, clock.cpu = 103, 11
    clock.wall, clock.cpu = 110, 20
    with watch.running() as second:
        clock.wall, clock.cpu = 111, 20.5
    clock.wall = 200
    assert (read(first), read(second)) == ((3, 4), (1, 0.5))


def test_at_once(clock: SimpleNamespace) -> None:
    """First alone for 2 s, then 4 s with the second, then 6 s with both others, then the third alone for 1 s."""
    watch = Stopwatch()
    first = watch.start()
    clock.wall, clock.cpu = 102, 8
    second = watch.start()
    clock.wall, clock.cpu = 106, 15
    third = watch.start()
    clock.wall, clock.cpu = 112, 24
    watch.stop(second)
    watch.stop(first)
    clock.wall, clock.cpu = 113, 25
    watch.stop(third)
    assert read(first) == (2 + 4 / 2 + 6 / 3, 1 + 7 / 2 + 9 / 3)
    assert read(second) == (4 / 2 + 6 / 3, 7 / 2 + 9 / 3)
    assert read(third) == (6 / 3 + 1, 9 / 3 + 1)


def test_what_fails_is_timed_to_its_end(clock: SimpleNamespace) -> None:
    watch = Stopwatch()
    with pytest.raises(ValueError, match="lost"), watch.running() as spent:  # noqa: PT012
        clock.cpu = 9
        raise ValueError("lost")
    clock.cpu = 30
    with watch.running() as after:
        clock.cpu = 31
    assert (spent.cpu_seconds, after.cpu_seconds) == (2, 1)


def busy(seconds: float) -> None:
    """Compute until this thread had so much CPU time."""
    start = time.thread_time()
    while time.thread_time() - start < seconds:
        sum(range(1000))


def test_all_threads_count() -> None:
    """Two threads at work and one that sleeps: CPU seconds are those of the two, wall seconds those of the clock."""
    before = time.process_time(), time.perf_counter()
    with Stopwatch().running() as spent:
        threads = [threading.Thread(target=busy, args=[0.15]) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.01)
        for thread in threads:
            thread.join()
    assert 0.3 <= spent.cpu_seconds <= time.process_time() - before[0]
    assert 0.15 <= spent.seconds <= time.perf_counter() - before[1]


@pytest.mark.parametrize(
    ("name", "threads"), [("grid", 2), *((name, 1) for name in known() if name != "refine")]
)
def test_every_search(name: str, threads: int) -> None:
    """No method counts a second twice, or loses one: grid search's pairs side by side, all others in the open."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        data, given = toy(), {"epochs": 1} if "epochs" in model(name).model_fields else {}
        section = model(name)(**by_rule(model(name), given, Shapes.of(data, CONNECTOR, 0)))
        start = time.process_time(), time.perf_counter()
        found = run_method(name, data, section, CONNECTOR, 0)
        whole = time.process_time() - start[0], time.perf_counter() - start[1]
    finally:
        torch.set_num_threads(before)
    assert found.threads == threads
    assert 0 < found.cpu_seconds <= whole[0]
    assert 0 < found.seconds <= whole[1]
    if name == "grid":
        assert found.cpu_seconds > whole[0] / 2
