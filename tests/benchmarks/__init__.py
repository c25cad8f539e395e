"""Measurements beside other implementations; `python -m tests.benchmarks` runs the suite."""

import os

# torch's profiler would tell of every start and stop; it reads this once, when torch is imported
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
