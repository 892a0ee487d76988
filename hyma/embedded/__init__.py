"""What the project brings itself: the drawn world, and the small encoders trained on it.

Two packages, so that an edit of the world does not train the encoders again, nor the reverse.
"""
