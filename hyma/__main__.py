"""``python -m hyma``: the same as ``hyma``."""

from hyma.command import main

if __name__ == "__main__":
    main()
