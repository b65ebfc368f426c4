"""Items that are made ahead of their use, in a thread."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")


def prefetched(items: Iterable[Item], ahead: int = 1) -> Iterator[Item]:
    """Yields items, of which the next ones are being made in a thread of their own.

    The first is begun when it is asked for. An error is raised where its item is due, and a
    generator that makes them is closed with this one.

    Args:
      items: made one after the other.
      ahead: at most so many are made before they are asked for.
    """
    source, end = iter(items), object()
    waiting: collections.deque[Future[Any]] = collections.deque()
    with ThreadPoolExecutor(1, thread_name_prefix="prefetched") as pool:
        try:
            waiting.append(pool.submit(next, source, end))
            while (item := waiting.popleft().result()) is not end:
                while len(waiting) < ahead:
                    waiting.append(pool.submit(next, source, end))
                yield item
        finally:
            pool.shutdown(cancel_futures=True)
            if hasattr(source, "close"):
                source.close()
