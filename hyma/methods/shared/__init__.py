"""What several search methods share: similarity of spaces, closed-form maps, training-free scores."""
