"""What a stitched pair is worth: metrics, zero-shot protocols, probes. Arrays in, numbers out."""
