"""Work divided among threads, in order. Transforms and NumPy's loops run side by side in them."""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Yields the function's value of each item, in their order.

    Items are taken as threads become free, so that few are held at a time.

    Args:
      function: what the threads do.
      items: taken by the caller's thread.
      threads: how many; None is one for each core that this process may use.
    """
    threads = threads or len(os.sched_getaffinity(0))
    if threads == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        waiting: collections.deque[Future[Result]] = collections.deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # what has not begun is not wanted after an error, or if the caller has left
        pool.shutdown(cancel_futures=True)
