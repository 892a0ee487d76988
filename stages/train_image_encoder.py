"""Train one image encoder of the embedded zoo: python -m stages.train_image_encoder <slug>."""

import argparse
from pathlib import Path

from hyma.common import params
from hyma.embedded.zoo.image import train
from hyma.embedded.zoo.params import ZooImageParams
from stages._run import run


def main() -> None:
    """Train on labelled pictures; write the folder zoo/<slug>."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slug", help="key under zoo.image in params.yaml")
    slug = parser.parse_args().slug
    own = params.read(f"zoo.image.{slug}", ZooImageParams)
    accuracy = train(Path("data/raw/labels"), Path("zoo") / slug, own, params.read("seed", int))
    print(f"{slug}: training accuracy", {name: round(value, 3) for name, value in accuracy.items()})


if __name__ == "__main__":
    run(main)
