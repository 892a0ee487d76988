"""PyTorch's AdamW without PyTorch's compiler.

`torch.optim` wraps an optimizer's methods in decorators that import the compiler (``torch._dynamo``), only to tell it
to stay away: more than a second of a process that compiles nothing, and in the midst of the first search. What they
wrap is what runs here, to the bit.
"""

import inspect

import torch


class AdamW(torch.optim.AdamW):
    """`torch.optim.AdamW`, for code that is never compiled."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
