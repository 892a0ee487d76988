"""Search methods: each scores every pair, and most hand over the pairs' connectors too."""
