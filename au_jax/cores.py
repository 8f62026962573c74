"""The processor cores that this process may use."""

import os


def usable_cores() -> int:
    """How many cores this process may run on: those of a cluster's job or of `taskset`, not all that the machine has.

    Example:
      >>> 1 <= usable_cores() <= os.cpu_count()
      True
    """
    # macOS has no such sets.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
