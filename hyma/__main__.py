"""``python -m hyma``: the same as ``hyma``."""

from hyma.cli.command import main

if __name__ == "__main__":
    main()
