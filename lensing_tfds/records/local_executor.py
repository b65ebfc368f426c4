"""Shards on this machine: a pool of worker processes, one thread each, and a progress bar."""

from __future__ import annotations

import contextlib
import itertools
import math
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar

from lensing_tfds.errors import LensingError
from lensing_tfds.processes import ctrl_c_deferred, end_with
from lensing_tfds.records.shard_plans import ShardSpec, SplitPlan
from lensing_tfds.records.shard_summary import ShardSummary
from lensing_tfds.records.shards import write_shard

Result = TypeVar("Result")
ShardWork = Callable[[ShardSpec, Callable[[int], object]], Result]
"""A function of a shard and of what is to be called with the number of examples just done."""

WORKERS_VARIABLE = "LENSING_TFDS_WORKERS"

_PIXELS_WORTH_A_WORKER = 2**24  # about a second of simulation: less is not worth a new process


def write_locally(plans: Sequence[SplitPlan], workers: int | None = None) -> ShardSummary:
    """Writes all shards of the plans, showing examples, rate and time left; an `Executor`.

    Args:
      plans: the splits.
      workers: how many processes; None takes what `LENSING_TFDS_WORKERS` says, or every core that
        this process may use, and fewer where there is little to do.

    Raises:
      LensingError: a shard cannot be written, or a worker died. Finished shards are kept.
    """
    return ShardSummary.of(each_shard(write_shard, plans, workers))


def each_shard(
    work: ShardWork[Result], plans: Sequence[SplitPlan], workers: int | None = None
) -> Iterator[Result]:
    """Applies a function to all shards of the plans, in worker processes, with a progress bar.

    Args:
      work: an importable function; its result is pickled.
      plans: the splits.
      workers: as in `write_locally`.

    Yields:
      The results, as they come.

    Raises:
      LensingError: from `work`, or because a worker died.
    """
    import tqdm

    if multiprocessing.current_process().daemon:  # a worker itself, of `tfds build --num_processes`
        end_with(os.getppid())
    # The largest first: the last shards to end are then the smallest.
    plans = sorted(plans, key=lambda plan: plan.num_examples / plan.num_shards, reverse=True)
    specs = itertools.chain.from_iterable(plan.shards() for plan in plans)
    total = sum(plan.num_examples for plan in plans)
    seconds = 0.2 if sys.stderr.isatty() else 10  # between updates: a log keeps every one
    title = f"lensing/{plans[0].config.name}"
    with tqdm.tqdm(total=total, unit=" examples", desc=title, mininterval=seconds) as bar:
        count = _worker_count(plans) if workers is None else workers
        if count == 1:
            for spec in specs:
                yield work(spec, bar.update)
        else:
            yield from _in_pool(work, specs, count, bar)


def _worker_count(plans: Sequence[SplitPlan]) -> int:
    if multiprocessing.current_process().daemon:  # may have no children
        return 1
    shards = sum(plan.num_shards for plan in plans)
    if (asked := os.environ.get(WORKERS_VARIABLE)) is not None:
        if not asked.isdecimal() or int(asked) < 1:
            raise LensingError(f"{WORKERS_VARIABLE} is {asked!r}: must be a number of at least 1")
        return min(int(asked), shards)
    pixels = sum(plan.num_examples * plan.config.npix**2 for plan in plans)
    worthwhile = math.ceil(pixels / _PIXELS_WORTH_A_WORKER)
    return min(len(os.sched_getaffinity(0)), shards, worthwhile)


def _in_pool(
    work: ShardWork[Result], specs: Iterator[ShardSpec], workers: int, bar: Any
) -> Iterator[Result]:
    # Not the standard library's pool: it would import the caller's script again in every worker,
    # or fork a process that has threads (TensorFlow's).
    import loky

    context = loky.backend.get_context("loky")
    done = context.SimpleQueue()  # of numbers of examples
    pool = loky.ProcessPoolExecutor(
        workers,
        context=context,
        initializer=_start_worker,
        initargs=(done, os.getpid()),
        # One core a worker: its libraries' own threads would only wait for one another.
        env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    )
    pending: set[Future[Result]] = set()
    finished = False
    try:
        while True:
            # Not all at once: there may be millions.
            for spec in itertools.islice(specs, 2 * workers - len(pending)):
                with ctrl_c_deferred():  # workers are started here
                    pending.add(pool.submit(_work_in_pool, work, spec))
            if not pending:
                break
            ended, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            while not done.empty():
                bar.update(done.get())
            for future in ended:
                yield future.result()
        finished = True
    except loky.process_executor.TerminatedWorkerError as error:
        raise LensingError(
            "a worker process was killed (out of memory?): finished shards are kept, the same "
            f"command goes on; {WORKERS_VARIABLE} sets how many work at once"
        ) from error
    finally:
        with contextlib.suppress(Exception):
            pool.shutdown(wait=True, kill_workers=not finished)


_done: Any = None  # in a worker: where it reports the examples that it has done


def _start_worker(done: Any, parent: int) -> None:
    global _done
    _done = done
    end_with(parent)


def _work_in_pool(work: ShardWork[Result], spec: ShardSpec) -> Result:
    return work(spec, _done.put)
