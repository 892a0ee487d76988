"""From scores to an order: agreement with the oracle, statistics, which method to use, what moved between runs."""
