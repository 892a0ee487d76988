"""What settings by rule are worth: HYMA's connectors beside grid search's, by number of captions.

python -m benchmarks.rules --captions 1000 3000 10000

Run it in a project whose features are extracted (`dvc repro extract_image extract_text`). The rules were found on the
embedded world; to test them, set `world.embedded.seed` in params.yaml to another number first. Both searches are
settled by their sections' rules, whatever params.yaml says of them, on the first so many training captions; pairs are
scored on the same held-out pictures and on all benchmarks. Prints a table; ten thousand captions take some minutes.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch

from hyma.common.params import by_rule
from hyma.ranking.agreement import agreement
from hyma.search import hyma_search
from hyma.search.params import HymaParams
from hyma.stitching import grid
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures
from hyma.studies.judge import Judge, mean_scores
from hyma.wording.markdown import decimal, points, table, times
from stages._features import training_features
from stages._study import judge

HEADER = (
    *("captions", "steps a pair: grid", "HYMA", "benchmarks: grid", "HYMA", "difference"),
    *("held-out recall@5: grid", "HYMA", "difference", "ρ", "fewer FLOPs"),
)


def main() -> None:
    """Cut, search twice, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--captions", type=int, nargs="+", default=[1000, 3000, 10000])
    features, bench = training_features(), judge()
    rows = [compared(cut(features, count), bench) for count in parser.parse_args().captions]
    print(table(HEADER, rows, left=0))


def cut(features: TrainingFeatures, count: int) -> TrainingFeatures:
    """The first `count` training captions, with their pictures, and all that is held out."""
    captions = torch.cat([features.train[:count], features.held_out])
    images, of_image = torch.unique(features.image_of_text_M[captions], return_inverse=True)
    train = min(count, len(features.train))
    return TrainingFeatures(
        images={slug: each[images] for slug, each in features.images.items()},
        texts={slug: each[captions] for slug, each in features.texts.items()},
        image_of_text_M=of_image,
        train=torch.arange(train),
        held_out=torch.arange(train, len(captions)),
        wording_M=None if features.wording_M is None else features.wording_M[captions],
    )


def compared(features: TrainingFeatures, bench: Judge) -> Sequence[str]:
    """A row of the table."""
    connector = ConnectorParams.model_validate({})
    sizes = Shapes.of(features, connector, 0)
    full = grid.search(features, GridParams(**by_rule(GridParams, {}, sizes)), connector, 0)
    cheap = hyma_search.search(features, HymaParams(**by_rule(HymaParams, {}, sizes)), connector, 0)
    truth, own = (mean_scores(bench.scores(found.stitches)) for found in (full, cheap))
    rho = agreement(truth, own)["spearman"]
    cells = [str(sizes.train), str(full.steps // len(sizes.pairs)), str(cheap.steps)]
    for one, other in ((truth, own), (full.scores, cheap.scores)):
        before, after = (float(np.mean(list(scores.values()))) for scores in (one, other))
        cells += [points(before), points(after), f"{100 * (after - before):+.1f}"]
    rho_text = decimal(float(rho)) if isinstance(rho, float) else "–"
    return [*cells, rho_text, times(_flops(full) / _flops(cheap))]


def _flops(found: SearchResult) -> float:
    return sum(found.flops.values())


if __name__ == "__main__":
    main()
