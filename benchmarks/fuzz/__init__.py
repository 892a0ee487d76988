"""A fuzzer of the readers: a valid tiny data set, one thing wrong in it, and what the reader makes of that.

Right is what a person can act on: the same records, records left out and listed, or one plain line. A traceback, a
hang, or a record that is gone without a word is wrong.
"""
