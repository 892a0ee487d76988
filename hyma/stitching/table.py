"""Tables of features that search methods draw rows from: on the device if they fit, else streamed to it.

Letters: N rows, n rows drawn, D a width.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from hyma.common.device import free_memory

SHARE = 0.7
"""Share of the free memory that resident tables may take."""
COPIES = 3
"""Times that a search holds its features: as extracted, normalised, in components."""
Convert = Callable[[Tensor], Tensor]


class Streamed:
    """Features that stay where they lie (in a memory-mapped file) until rows are drawn.

    Indexing with row numbers gives a tensor on the device, as it does for a tensor, and so do `shape` and `len`.
    """

    def __init__(self, chunks: Sequence[np.ndarray], device: torch.device, convert: Convert | None = None):
        """Take float32 views [rows, D], which together are the table; `convert` is applied to rows drawn."""
        self.chunks, self.device, self.convert = list(chunks), device, convert
        self.starts = np.cumsum([0, *(len(chunk) for chunk in self.chunks)])
        width = self.chunks[0].shape[1] if convert is None else self[torch.arange(1)].shape[1]
        self.shape = (int(self.starts[-1]), width)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Draw rows [n]; return [n, D] on the device."""
        wanted = rows.cpu().numpy()
        found = torch.empty(len(wanted), self.chunks[0].shape[1], pin_memory=self.device.type == "cuda")
        drawn_nD = found.numpy()
        chunk_n = np.searchsorted(self.starts, wanted, side="right") - 1
        for number in np.unique(chunk_n):
            places = np.nonzero(chunk_n == number)[0]
            drawn_nD[places] = self.chunks[number][wanted[places] - self.starts[number]]
        on_device = found.to(self.device, non_blocking=True)
        return on_device if self.convert is None else self.convert(on_device)

    def map(self, convert: Convert) -> "Streamed":
        """The same table with `convert` applied to rows after what is applied already."""
        before = self.convert
        return Streamed(self.chunks, self.device, convert if before is None else lambda x: convert(before(x)))


Table = Tensor | Streamed


def mapped(table: Table, convert: Convert) -> Table:
    """Apply a function of rows: at once to a resident table, at every draw to a streamed one."""
    return convert(table) if isinstance(table, Tensor) else table.map(convert)


def fits(size: int, device: torch.device) -> bool:
    """Whether features of `size` bytes can be kept on the device, with the copies that searches make."""
    return COPIES * size <= SHARE * free_memory(device)
