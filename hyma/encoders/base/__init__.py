"""Loading an encoder by its source, extracting features in chunks, features that somebody has already."""
