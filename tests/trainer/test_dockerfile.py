"""The trainer's image installs what there is; no Docker is needed to see that."""

import configparser
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).parents[2]
DOCKERFILE = (ROOT / "trainer" / "Dockerfile").read_text()


def test_it_installs_extras_that_exist_and_have_the_commands_that_it_shows():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    (extras,) = re.findall(r'"/source\[([\w,]+)\]"', DOCKERFILE)
    assert {"trainer"} <= set(extras.split(",")) <= set(setup["options.extras_require"])
    assert "namaster" not in extras


def test_the_locked_jax_is_found():
    (command,) = re.findall(r"jax=\$\((sed .+)\)", DOCKERFILE)
    command = command.replace("/source/", f"{ROOT}/")
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"[\d.]+\n", found)
