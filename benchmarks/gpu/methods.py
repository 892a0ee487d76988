"""Part g: methods that train nothing, but decompose and sort, give the same on a GPU as on a CPU."""

from collections.abc import Iterator

import torch

from benchmarks.gpu import data
from benchmarks.gpu.compare import SEED, connector
from benchmarks.gpu.device import CPU
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.table import Row, at_most, failed
from hyma import methods
from hyma.stitching.training_set import TrainingFeatures

CLOSE = {
    "cka": 1e-4, "calibrated_cka": 1e-4, "cknna": 0.01, "mutual_knn": 0.01, "calibrated_knn": 0.01,
    "svcca": 0.01, "logme": 1e-3, "gw": 1e-3,
}  # fmt: skip
"""Method → largest difference of a score that is no recall: those of sets of neighbours, or of directions, may jump."""
RECALL = 0.02
"""Of held-out recall@5, for the methods that give connectors."""
STITCHING = ("ridge", "cca", "gcca", "procrustes")


def untrained(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    """Score all pairs on both devices."""
    arrays = data.draw(sizes.rows, sizes.images, sizes.texts, sizes.noise)
    cpu, gpu = (data.put(arrays, connector(sizes), place) for place in (CPU, device))
    for name in (*CLOSE, *STITCHING):
        try:
            yield _apart(name, cpu, gpu, sizes)
        except Exception as error:  # the next method may do
            yield failed("g", name, error)


def _apart(name: str, cpu: TrainingFeatures, gpu: TrainingFeatures, sizes: Sizes) -> Row:
    method = methods.load(name)
    params = method.Params()
    one, other = (method.search(features, params, connector(sizes), SEED).scores for features in (cpu, gpu))
    if not one or one.keys() != other.keys():
        raise ValueError(f"scores of {sorted(one)} on the CPU, of {sorted(other)} on the device")
    largest = max(abs(one[pair] - other[pair]) for pair in one)
    return at_most("g", f"{name}: scores, largest difference", largest, CLOSE.get(name, RECALL))
