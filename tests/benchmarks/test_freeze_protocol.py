"""The protocol's file follows from the examples; what is frozen is not written again."""

import dataclasses
import json

import pytest

from benchmarks import freeze_protocol
from estimators.benchmark.digests import Agreement
from estimators.benchmark.protocol import FILE, protocol

NOW = protocol()


def test_a_split_is_frozen_from_its_own_examples():
    split = NOW.splits["v11"]
    again = freeze_protocol.frozen_split("v11", NOW.split, split.num_first, split.num_first)
    assert again.ell_edges == split.ell_edges
    for found in (again.arrays, again.first):
        for name, digest in split.first.items():  # on other processors but for rounding
            assert found[name].compared_with(digest) is not Agreement.DIFFERENT


@pytest.fixture(name="main")
def main_fixture(monkeypatch, tmp_path):
    """The command, whose simulated splits are those of the protocol, with or without a change."""
    path = tmp_path / FILE

    def run(number, **changes):
        def split(name, *_):
            return dataclasses.replace(NOW.splits[name], **changes)

        monkeypatch.setattr(freeze_protocol, "frozen_split", split)
        freeze_protocol.main(["--protocol", number, "--output", str(path)])
        return path

    return run


def test_the_same_protocol_again_writes_nothing(main, capsys):
    assert not main("1").exists()
    assert "protocol 1: identical" in capsys.readouterr().out


def test_a_frozen_protocol_is_not_changed_but_gets_another_number(main, capsys):
    changed = {"ell_edges": (1.0, 2.0)}
    with pytest.raises(SystemExit):
        main("1", **changed)
    assert "judges v9 in other bands than the protocol" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main("1", arrays=NOW.splits["v12"].arrays)
    assert "lensing/v9: 'lensed' of the test split has SHA-256" in capsys.readouterr().err
    values = json.loads(main("2", **changed).read_text("utf-8"))
    assert values["version"] == "2" and values["splits"]["v9"]["ell_edges"] == [1, 2]
    assert values["other_skies"] == [*NOW.other_skies]
