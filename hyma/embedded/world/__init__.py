"""The embedded world: captioned pictures that the project draws itself, in the benchmarks' own formats."""
