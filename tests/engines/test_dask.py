"""Beam's DaskRunner on a cluster of separate processes."""

import pytest

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def flags():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield ["--runner", "DaskRunner", "--dask_client_address", cluster.scheduler_address]


def test_the_same_examples(generate, flags, small, assert_is_simulated):
    with generate(small, "--num_shards", "5", *flags):
        pass
    assert_is_simulated(small, 5)


def test_a_killed_worker_is_replaced(generate, flags, slow, killer, assert_is_simulated):
    with generate(slow, "--num_shards", "4", *flags):
        pass
    assert killer.killed is not None
    assert_is_simulated(slow, 4)
