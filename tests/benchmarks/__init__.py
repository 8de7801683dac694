"""The benchmark: Doc2X clients against one simulated service, in one run, on the same seeds.

`python -m tests.benchmarks` prints the table; `python -m tests.benchmarks --help` tells what else it can do.
"""
