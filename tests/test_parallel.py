"""Computations side by side: in order, with torch's threads put back, and ended by the first failure."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from hyma.common import parallel

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_order_and_threads() -> None:
    """Results come in the order of the items, whichever ends first; each has its share of torch's threads."""
    names: set[str] = set()

    def work(item: int) -> tuple[int, int]:
        names.add(threading.current_thread().name)
        time.sleep(0.05 if item == 0 else 0.0)
        return item, torch.get_num_threads()

    assert parallel.side_by_side(work, range(6), CPU) == [(item, 1) for item in range(6)]
    assert len(names) == 2
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("items", "device", "count"), [(5, "cpu", 2), (1, "cpu", 1), (0, "cpu", 1), (5, "cuda", 1)]
)
def test_workers(items: int, device: str, count: int) -> None:
    assert parallel.workers(items, torch.device(device)) == count


def test_a_failure_ends_the_others() -> None:
    """What is at work stops at its next `go_on`, what waits is not begun, and the failure is raised."""
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 0:
            raise ValueError("the first")
        while True:
            parallel.go_on()
            time.sleep(0.001)

    with pytest.raises(ValueError, match="the first"):
        parallel.side_by_side(work, range(9), CPU)
    assert len(begun) < 9
    parallel.go_on()
    assert parallel.side_by_side(str, [1, 2], CPU) == ["1", "2"]
