"""HYMA: find the best image encoder × text encoder pair to stitch, without training every pair."""
