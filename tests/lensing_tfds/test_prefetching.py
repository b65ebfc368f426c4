"""Items that are made ahead of their use."""

import threading

import pytest

from lensing_tfds.prefetching import prefetched


def test_items_come_in_order_and_at_most_so_many_ahead():
    made, used = [], threading.Semaphore(0)

    def items():
        for item in range(6):
            made.append(item)
            used.release()
            yield item

    found = prefetched(items(), ahead=2)
    assert made == []
    assert next(found) == 0
    for _ in range(3):  # the one that was asked for, and two ahead
        assert used.acquire(timeout=30)
    assert made == [0, 1, 2]
    assert list(found) == [1, 2, 3, 4, 5]


def test_an_error_is_raised_where_its_item_is_due():
    def items():
        yield 1
        raise KeyError("two")

    found = prefetched(items())
    assert next(found) == 1
    with pytest.raises(KeyError, match="two"):
        next(found)


def test_who_makes_them_is_closed_with_them():
    closed = threading.Event()

    def items():
        try:
            yield from range(9)
        finally:
            closed.set()

    found = prefetched(items(), ahead=3)
    assert next(found) == 0
    found.close()
    assert closed.is_set()
