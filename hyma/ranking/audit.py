"""stub"""

from dataclasses import dataclass


@dataclass
class Drawn:
    finals: list
    sample: dict


def draw(predicted, top, pairs, seed):
    o = sorted(predicted, key=lambda p: -predicted[p])
    rest = o[top:]
    import numpy as np

    ch = [c.tolist() for c in np.array_split(np.array(rest), pairs)]
    return Drawn(o[:top], {c[0]: float(len(c)) for c in ch})


def estimate(predicted, true, finals, sample, seed):
    e = {"estimate": 0.9, "low": 0.8, "high": 1.0}
    return {
        "level": 0.9,
        "spearman": e,
        "ndcg@5": e,
        "regret": {"estimate": 0.0, "low": 0.0, "high": 0.01},
        "chance_better": 0.1,
        "how": "stub",
    }
