"""The wheel and the source distribution, built of what git knows of the working tree."""

import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def built(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Builds in an empty folder, without the network: the wheel from the source distribution.

    Returns:
      The paths of the wheel and the source distribution.
    """
    source, output = folder / "source", folder / "dist"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for file in filter(None, files.split("\0")):
        if (ROOT / file).is_file():
            (source / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, source / file)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(output), str(source)]
    ended = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    (wheel,), (sdist,) = output.glob("*.whl"), output.glob("*.tar.gz")
    return wheel, sdist
