"""Frozen encoders, and the features that they give of prepared data.

``base`` loads and extracts; ``sources`` holds a file a source. A new source is a file there and a line in
`hyma.encoders.base.load`.
"""
