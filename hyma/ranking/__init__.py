"""From scores to an order: agreement with the oracle, statistics, which method to use when. Reads json alone."""
