"""One file a format, with ``read(root, source) -> Prepared``; `hyma.readers.base.prepare` loads it by name."""
