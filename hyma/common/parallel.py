"""Independent computations side by side on a CPU: torch's threads are shared among them.

Small products keep one core busier than two, and what a computation yields on one does not depend on how many a machine
has. On a GPU they go one after the other.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_given_up = threading.Event()


class GivenUpError(Exception):
    """Another of the computations failed, or somebody stopped the process."""


def workers(items: int, device: torch.device) -> int:
    """Return how many of `items` computations go side by side: at most as many as torch may use threads."""
    return max(1, min(torch.get_num_threads(), items)) if device.type == "cpu" else 1


def threads(device: torch.device) -> int:
    """Return how many threads compute on a CPU, all computations together; 0 where it is not a CPU that does."""
    return torch.get_num_threads() if device.type == "cpu" else 0


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item], device: torch.device) -> list[Result]:
    """Return what `work` makes of each item, in order; the first failure, by that order, is raised.

    Long work calls `go_on` now and then, so that it ends soon after another failed.
    """
    count = workers(len(items), device)
    if count == 1:
        return list(map(work, items))
    with _threads_of_torch(max(1, torch.get_num_threads() // count)), ThreadPoolExecutor(count) as pool:
        try:
            return list(pool.map(work, items))
        except BaseException:
            _given_up.set()
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            _given_up.clear()


def go_on() -> None:
    """Do nothing, unless another computation failed.

    Raises:
        GivenUpError: then, in the threads of `side_by_side`.
    """
    if _given_up.is_set() and threading.current_thread() is not threading.main_thread():
        raise GivenUpError


@contextmanager
def _threads_of_torch(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
