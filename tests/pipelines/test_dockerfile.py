"""The workers' image has the versions that start the job; no Docker is needed to see that."""

import configparser
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
DOCKERFILE = (ROOT / "pipelines" / "Dockerfile").read_text()


def test_the_image_has_the_locked_beam():
    (image,) = re.findall(r"^ARG BEAM=(.+)$", DOCKERFILE, re.MULTILINE)
    lock = (ROOT / "requirements.lock").read_text()
    assert re.findall(r"^apache-beam==([^\s;]+)", lock, re.MULTILINE) == [image]


def test_the_image_installs_an_extra_that_exists():
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", DOCKERFILE)
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert set(extras.split(",")) <= set(setup["options.extras_require"])


def test_what_the_package_is_made_of_is_sent_to_docker():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in sent)
    assert {"lensing_tfds", "pyproject.toml", "requirements.lock", "setup.cfg"} <= sent
