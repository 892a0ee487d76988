"""What the formats share: checking pictures, captions and prompts, writing the prepared form."""
