"""Note what an encoder's local weights are: python -m stages.weights image|text <slug>.

Writes data/weights/<side>/<slug>.txt, a digest of the file or folder that params.yaml names: when it changes, features
are extracted anew.
"""

import argparse
from pathlib import Path

from hyma.common import params
from hyma.common.files import write_text
from hyma.common.kept import content
from stages._run import run


def main() -> None:
    """Digest, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=["image", "text"])
    parser.add_argument("slug", help="key under image_encoders or text_encoders in params.yaml")
    args = parser.parse_args()
    weights = (
        params.read(f"image_encoders.{args.slug}.weights", str)
        if args.side == "image"
        else params.read(f"text_encoders.{args.slug}.weights", str)
    )
    write_text(Path(f"data/weights/{args.side}/{args.slug}.txt"), content(Path(weights)) + "\n")


if __name__ == "__main__":
    run(main)
