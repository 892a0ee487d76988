"""The search on features in memory, without the pipeline: `hyma.search_pairs`."""
