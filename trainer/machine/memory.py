"""The memory that this process may use, and what is free of it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def memory_limit() -> int:
    """Bytes that this process may use: the machine's, or its container's or user's limit."""
    return min(_limits())


def available_memory() -> float:
    """Bytes that this process and its children may still use."""
    return min(memory_limit(), *_free())


def _limits() -> Iterator[int]:
    yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in _cgroup_files():
        try:
            text = file.read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if text.isdecimal():  # not "max"
            yield int(text)
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        yield soft


def _cgroup_files() -> Iterator[Path]:
    """Files that may limit this process, of both versions of Linux's control groups."""
    own = Path("/proc/self/cgroup")
    for line in own.read_text(encoding="utf-8").splitlines() if own.exists() else ():
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root, name = (
            (_CGROUPS / "memory", "memory.limit_in_bytes")
            if controllers
            else (_CGROUPS, "memory.max")
        )
        folder = root / group.lstrip("/")
        for parent in (folder, *folder.parents):
            if not parent.is_relative_to(root):
                break
            yield parent / name


def _free() -> Iterator[float]:
    yield float("inf")
    file = Path("/proc/meminfo")
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            yield 1024.0 * int(amount.split()[0])
