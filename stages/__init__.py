"""One thin script a DVC stage; run as ``python -m stages.<name>`` from the project's root."""
