"""A pretended GPU: tensors in main memory that may not be mixed with others, as on a machine that has one.

Inside `gpu()`, whatever is asked for on ``cuda`` is made on the CPU and marked. Every operation then keeps PyTorch's
rules: marked and unmarked tensors do not meet, but for indices, copies and scalars; a marked tensor is no NumPy
array, and a CPU's generator does not draw one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda", 0)
MAY_MIX = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_", "aten::copy_"}


class MixedError(RuntimeError):
    """What would fail on a GPU."""


class Marks:
    """Which storages are on the pretended GPU."""

    def __init__(self) -> None:
        self.known: dict[int, StorageWeakRef] = {}

    def add(self, value: Any) -> None:
        for tensor in tensors(value):
            storage = StorageWeakRef(tensor.untyped_storage())
            self.known[storage.cdata] = storage

    def remove(self, tensor: Tensor) -> None:
        self.known.pop(tensor.untyped_storage()._cdata, None)

    def __contains__(self, tensor: Tensor) -> bool:
        found = self.known.get(tensor.untyped_storage()._cdata)
        return found is not None and not found.expired()


def tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


class Operations(TorchDispatchMode):
    """Refuses operations on tensors of both kinds; what comes of marked ones is marked."""

    def __init__(self, marks: Marks):
        super().__init__()
        self.marks = marks

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = tensors((args, kwargs))
        marked = [tensor in self.marks for tensor in given]
        name = func._schema.name
        if name not in MAY_MIX and any(marked):
            wrong = [
                list(t.shape)
                for t, own in zip(given, marked, strict=True)
                if not own and t.ndim and t.numel()
            ]
            if wrong:
                raise MixedError(f"{name}: tensors of the CPU, {wrong}, with tensors of the GPU")
        found = func(*args, **(kwargs or {}))
        on_gpu = marked[:1] if name in MAY_MIX else marked
        if any(on_gpu):
            self.marks.add(found)
        return found


class Functions(TorchFunctionMode):
    """Moves: what is asked for on ``cuda``, and what leaves it."""

    def __init__(self, marks: Marks):
        super().__init__()
        self.marks = marks

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        own = args[0] if args and isinstance(args[0], Tensor) else None
        if own is not None and getattr(func, "__self__", None) is Tensor.device:
            return CUDA if own in self.marks else func(*args)
        if own is not None and name == "numpy" and own in self.marks:
            raise MixedError("a tensor of the GPU is no NumPy array")
        if own is not None and name == "cpu":
            return self._moved(own, ("cpu",), {})
        if own is not None and name == "to":
            return self._moved(own, args[1:], kwargs)
        return self._made(func, args, kwargs)

    def _moved(self, own: Tensor, args: Any, kwargs: dict[str, Any]) -> Tensor:
        device = kwargs.pop("device", None)
        rest = []
        for arg in args:
            if isinstance(arg, Tensor):
                device, arg = arg.device, arg.dtype
            if isinstance(arg, str | torch.device):
                device = arg
            else:
                rest.append(arg)
        kwargs.pop("non_blocking", None)
        rest = [arg for arg in rest if not isinstance(arg, bool)]
        here = own in self.marks
        there = here if device is None else torch.device(device).type == "cuda"
        moved = own.to(*rest, **kwargs) if rest or kwargs else own
        if here != there and moved is own:
            moved = own.clone()
        if there:
            self.marks.add(moved)
        else:
            self.marks.remove(moved)
        return moved

    def _made(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if kwargs.pop("pin_memory", False):
            return func(*args, **kwargs)
        device = kwargs.get("device")
        if device is None or torch.device(device).type != "cuda":
            return func(*args, **kwargs)
        if isinstance(kwargs.get("generator"), torch.Generator):
            raise MixedError(f"{func}: a CPU's generator for a tensor of the GPU")
        kwargs["device"] = "cpu"
        found = func(*args, **kwargs)
        self.marks.add(found)
        return found


@contextmanager
def gpu() -> Iterator[Marks]:
    """Pretend that there is a GPU."""
    marks = Marks()
    with (
        patch("torch.cuda.mem_get_info", lambda *_: (2**34, 2**34)),
        Operations(marks),
        Functions(marks),
    ):
        yield marks
