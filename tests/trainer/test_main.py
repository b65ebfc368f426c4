"""The command line: `python -m trainer`."""

import json
import os
import subprocess
import sys

import pytest

from trainer.__main__ import main
from trainer.runs.run import load_run


def test_help_answers_without_importing_tensorflow():
    code = (
        "import sys; from trainer.__main__ import parse_arguments; parse_arguments([]);"
        "assert not {'tensorflow', 'keras', 'tensorflow_datasets', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_command_trains_and_the_same_command_again_has_nothing_to_do(
    data_dir, tmp_path, capsys
):
    workdir = tmp_path / "run"
    arguments = ["--dataset", "lensing/tiny", "--data_dir", data_dir, "--workdir", str(workdir)]
    arguments += ["--model", "1x4-3", "--epochs", "1", "--batch_size", "16"]
    arguments += ["--max_examples", "20", "--seed", "2"]
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    first = subprocess.run(
        [sys.executable, "-m", "trainer", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert "training 1x4-3 (77 parameters) on 20 examples of lensing/tiny" in first.stdout
    assert "epoch 1/1  loss " in first.stdout
    assert f"python -m trainer.evaluate --workdir {workdir}" in first.stdout
    assert first.stderr == ""  # TensorFlow's start-up notes are silenced
    run = load_run(workdir)
    assert (run.config.max_examples, run.config.seed, run.config.augment) == (20, 2, True)
    assert json.loads((workdir / "config.json").read_text())["dataset"] == "lensing/tiny"

    main(arguments)
    assert capsys.readouterr().out.startswith("already finished: 1 epochs")


@pytest.mark.parametrize("flag", ["--epoch", "--data-dir", "--lr"])
def test_an_unknown_flag_is_an_error(flag, capsys):
    with pytest.raises(SystemExit) as error:
        main([flag, "1"])
    assert error.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--whiten"],
            "iterated cannot be whitened, or is already: only the study's stacks can",
        ),
        (["--whiten", "--model", "whiten-2x8-3"], "whiten-2x8-3 cannot be whitened, or is already"),
        (["--dataset", "lensing/v99"], "lensing/v99 is neither a version (v1, v2, v3, v4, v5, v6"),
        (["--dataset", "lensing/wide"], 'lensing_tfds --config \'{"name": "wide"'),
        (["--dataset", "mnist"], "unknown dataset 'mnist': expected lensing/<config>"),
        (
            ["--dataset", '{"name": "wide", "npix": 32}'],
            "expected lensing/<config>, as lensing/v8; a config of your own is built first, by",
        ),
        (["--model", "resnet"], "unknown model 'resnet': expected LxF-...-K"),
        (["--model", "9" * 5000 + "x1-3"], "expected LxF-...-K"),
        (["--model", "9999x9999-9"], "9999x9999-9 needs about "),
        (["--model", "99999x9999999-9"], "take a smaller --model"),
        (["--model", "unet", "--batch_size", "1000000000"], "take a --batch_size of at most "),
        (["--model", "unet", "--epochs", "0"], "epochs is 0: must be at least 1"),
        (["--model", "unet", "--batch_size", "-1"], "batch_size is -1: must be at least 1"),
        (
            ["--model", "unet", "--learning_rate", "1e39"],
            "learning_rate is 1e+39: must be a positive number, from 1e-30",
        ),
        (
            ["--model", "unet", "--learning_rate", "1e-46"],
            "learning_rate is 1e-46: must be a positive number",
        ),
        (
            ["--model", "unet", "--learning_rate", "0"],
            "learning_rate is 0.0: must be a positive number",
        ),
        (["--max_examples", "0"], "max_examples is 0: must be at least 1"),
        (["--max_examples", "20001"], "max_examples is 20001: lensing/v8 train has 20000"),
        (["--model", "unet", "--seed", "-1"], "seed is -1: must be in [0, 2^31)"),
        (
            ["--fresh", "--dataset", "lensing/v1"],
            "lensing/v1 lens one unlensed sky",
        ),
        (["--fresh", "--simulators", "1000000"], "simulators is 1000000: must be from 1 to "),
        (["--fresh", "--reuse", "0"], "reuse is 0: must be at least 1"),
        (["--fresh", "--model", "iterated"], "fresh is for networks that are trained: iterated is"),
        (["--workdir", "/dev/null/run"], "cannot write to the folder /dev/null/run: Not a dir"),
        (["--data_dir", "/dev/null/data"], "/dev/null/data"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2_before_any_work(
    arguments, message, tmp_path, capsys
):
    with pytest.raises(SystemExit) as exit:
        main(["--data_dir", str(tmp_path / "data"), "--workdir", str(tmp_path), *arguments])
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "data").exists()


def test_a_missing_version_is_built_saying_so(tmp_path, capsys, monkeypatch):
    import dataclasses

    from lensing_tfds import versions

    small = dataclasses.replace(
        versions.VERSIONS["v4"], num_examples={"train": 8, "validation": 4, "test": 4}
    )
    monkeypatch.setitem(versions.VERSIONS, "v4", small)
    data_dir = str(tmp_path / "data")
    arguments = ["--dataset", "lensing/v4", "--data_dir", data_dir, "--epochs", "1"]
    arguments += ["--model", "1x2-3", "--workdir", str(tmp_path / "run")]
    main(arguments)
    assert f"lensing/v4 is not in {data_dir} yet: building it, once" in capsys.readouterr().out
    run = load_run(tmp_path / "run")
    settings = run.config
    assert (settings.batch_size, settings.clipnorm, settings.learning_rate) == (128, 1, 1e-3)
    assert run.dataset.stored.plan("test").num_examples == 4  # a version, opened for judging
