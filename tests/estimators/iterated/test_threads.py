import threading

import pytest

from estimators.iterated.threads import in_threads


@pytest.mark.parametrize("threads", [1, 2, 5, None])
def test_results_come_in_the_order_of_the_items(threads):
    later = threading.Event()

    def square(number):
        if threads in (2, 5) and number == 0:
            assert later.wait(10)  # the second item is done before the first
        if number == 1:
            later.set()
        return number**2

    assert list(in_threads(square, range(20), threads)) == [n**2 for n in range(20)]


@pytest.mark.parametrize("threads", [1, 3])
def test_items_are_taken_as_they_are_needed(threads):
    taken = []
    results = in_threads(str, (taken.append(n) or n for n in range(100)), threads)
    assert [next(results) for _ in range(3)] == ["0", "1", "2"]
    assert len(taken) <= 3 + threads
    results.close()
    assert len(taken) <= 3 + threads


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_is_raised_where_its_result_is_due(threads):
    results = in_threads(lambda n: 1 / (3 - n), range(100), threads)
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
