"""The embedded zoo: small encoders trained on one modality each, never on image–text pairs."""
