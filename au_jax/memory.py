"""The memory of the process and of its accelerators: what is used, what a block of code used at most, what is free."""

import os
import resource
import threading
from pathlib import Path

import jax

_MIB = 2**20


class MemoryWatch:
    """Samples memory ten times a second while a block runs: the system's own high-water mark covers the whole process only."""

    def __enter__(self) -> "MemoryWatch":
        self._host = _resident()
        self._device, self._device_before = _on_device()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._done.set()
        self._thread.join()
        self._sample()

    def peaks(self) -> dict[str, float]:
        """peak_memory_mib, the resident set, and, where the accelerators tell, peak_device_memory_mib of the fullest."""
        self._sample()
        peaks = {"peak_memory_mib": self._host / _MIB}
        if self._device_before:
            # An allocator's own mark rises only in the stage that needs most so far; it is then exact.
            mark = _on_device()[1]
            peaks["peak_device_memory_mib"] = (mark if mark > self._device_before else self._device) / _MIB
        return peaks

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            self._sample()

    def _sample(self) -> None:
        self._host = max(self._host, _resident())
        self._device = max(self._device, _on_device()[0])


def free_on_host() -> int:
    """Bytes of memory that can be taken without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))) * 1024
    except OSError:
        # Not Linux: half of all there is.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def free_on_device() -> int | None:
    """Bytes that can be allocated on the fullest local device; None where devices do not tell, as CPUs."""
    stats = [device.memory_stats() for device in jax.local_devices()]
    return min(one["bytes_limit"] - one["bytes_in_use"] for one in stats) if all(stats) else None


def _on_device() -> tuple[int, int]:
    """Bytes in use on the fullest local device, and its high-water mark since the process began; 0 where it does not tell."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    return tuple(max(one.get(name, 0) for one in stats) for name in ("bytes_in_use", "peak_bytes_in_use"))


def _resident() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    except OSError:
        # Not Linux: the process's high-water mark, which macOS counts in bytes.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
