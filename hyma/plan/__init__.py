"""What an experiment will take, worked out before anything of it runs.

A module a concern: what is missing, stages, sizes, FLOPs, memory, time. Each gives plain dictionaries and lists,
which `hyma.plan.gather` puts together and `hyma.plan.page` shows. What cannot be known is None, with a reason
beside it, and spoils nothing else.
"""
