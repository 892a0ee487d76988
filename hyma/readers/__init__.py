"""From the formats that data sets have on disk to the one prepared form.

``base`` holds what formats share; ``formats`` one file a format. A new format is a file there and its name in
`hyma.readers.base.params`.
"""
