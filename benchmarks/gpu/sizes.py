"""How large everything is: as a GPU deserves it, or tiny, for the same code on a CPU in seconds."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Sizes:
    """Sizes of all parts."""

    rows: int
    """Images, each with one caption, of the comparisons."""
    images: tuple[int, ...]
    """Widths of their image encoders. Below 544 no draw by lot decides on principal components: see `closed_form`."""
    texts: tuple[int, ...]
    noise: float
    """Of the features: so much that recall is far from 0 and from 1."""
    holdout: float
    hidden: int
    codes: tuple[int, ...]
    """Hidden widths of the dense hypernetwork."""
    batch: int
    epochs: int
    precision_rows: int
    """More of them for the precisions: a scaler skips the first steps in fp16, which should not count."""
    precision_epochs: int
    precision_limits: tuple[float, float]
    """How far a lower precision's final loss (relative) and recall may be from fp32's."""
    components: int
    """Of principal components by the randomised method."""
    step_rows: int
    """Images of the step times."""
    step_widths: tuple[int, int]
    """Widths of the text and of the image encoder."""
    step_hidden: int
    steps: tuple[tuple[int, int], ...]
    """Batches of grid search, with how many steps are timed."""
    hyma_epochs: tuple[int, int]
    """Its step is timed by the difference of two searches, so that what comes before and after does not count."""
    step_codes: tuple[int, ...]
    matmul: int
    """Rows and columns of the matrix product that counts as the peak."""
    infonce: tuple[int, int]
    """Batch and width."""
    model: str
    """timm's name of the image encoder."""
    pictures: int
    rounds: int
    extract_batch: int | Literal["auto"]
    workers: int | Literal["auto"]
    seconds: float
    """Of all rounds of the forward pass and extraction together, in one precision, about."""


WHOLE = Sizes(
    rows=6000,
    images=(384, 512),
    texts=(384, 256),
    noise=1.5,
    holdout=0.05,
    hidden=256,
    codes=(64, 128),
    batch=512,
    epochs=5,
    precision_rows=20_000,
    precision_epochs=4,
    precision_limits=(0.05, 0.02),
    components=128,
    step_rows=50_000,
    step_widths=(384, 768),
    step_hidden=1024,
    steps=((512, 200), (16384, 20)),
    hyma_epochs=(1, 3),
    step_codes=(128, 512),
    matmul=8192,
    infonce=(16384, 1024),
    model="vit_base_patch16_224",
    pictures=256,
    rounds=2,
    extract_batch="auto",
    workers="auto",
    seconds=40,
)
TINY = Sizes(
    rows=400,
    images=(24, 32),
    texts=(24, 16),
    noise=0.2,
    holdout=0.2,
    hidden=16,
    codes=(8, 16),
    batch=64,
    epochs=4,
    precision_rows=400,
    precision_epochs=32,
    precision_limits=(0.15, 0.08),
    components=8,
    step_rows=600,
    step_widths=(16, 24),
    step_hidden=32,
    steps=((64, 4), (256, 2)),
    hyma_epochs=(1, 2),
    step_codes=(8, 16),
    matmul=128,
    infonce=(512, 16),
    model="test_vit",
    pictures=8,
    rounds=1,
    extract_batch=4,
    workers=1,
    seconds=0.2,
)
