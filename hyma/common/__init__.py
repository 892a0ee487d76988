"""What every layer stands on: errors, files, params, names, devices, prepared data, features, pictures.

Everything depends on it, so an edit here runs every stage again: keep it small and still.
"""
