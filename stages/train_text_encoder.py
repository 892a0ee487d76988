"""Train one text encoder of the embedded zoo: python -m stages.train_text_encoder <slug>."""

import argparse
from pathlib import Path

from hyma.common import params
from hyma.embedded.zoo.params import ZooTextParams
from hyma.embedded.zoo.text import train
from hyma.stitching.losses import info_nce
from stages._run import run


def main() -> None:
    """Train on paraphrases; write the folder zoo/<slug>."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slug", help="key under zoo.text in params.yaml")
    slug = parser.parse_args().slug
    own = params.read(f"zoo.text.{slug}", ZooTextParams)
    accuracy = train(
        Path("data/raw/corpus/sentences.tsv"), Path("zoo") / slug, own, params.read("seed", int), info_nce
    )
    print(f"{slug}: training accuracy {accuracy:.3f}")


if __name__ == "__main__":
    run(main)
