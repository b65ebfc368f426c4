"""A network's file alone says all: to a process that has `import trainer.networks`, and no more."""

import json
import subprocess
import sys

import keras
import numpy as np

from tests.trainer.networks.test_unet import SMALL, alive
from tests.trainer.tasks import scaling, statistics, task
from trainer.networks.families import build

STACK, UNET = task(16, "TQU"), task(15, "TQU")

READ = """
import json, sys
import keras, numpy as np, trainer.networks
for name in sys.argv[1:]:
    model = keras.saving.load_model(f"{name}.keras")
    np.save(f"{name}-kappa.npy", model.predict(np.load(f"{name}-maps.npy"), verbose=0))
from trainer.networks.physical import task_of
json.dump(task_of(model).to_json(), open("task.json", "w"))
"""


def test_a_file_is_read_after_one_import_and_says_what_it_is_for(tmp_path):
    unet = build(SMALL, UNET, statistics(UNET), seed=1)
    alive(next(layer for layer in unet.layers if isinstance(layer, keras.Model)))
    models = {"unet": (unet, UNET), "stack": (build("2x4-3", STACK, statistics(STACK), 1), STACK)}
    maps = {}
    for name, (model, of) in models.items():
        model.save(tmp_path / f"{name}.keras")
        standardised = np.random.default_rng(0).normal(size=(3, *of.input_shape))
        values = scaling(of)
        maps[name] = (standardised * values.input_std + values.input_mean).astype(np.float32)
        np.save(tmp_path / f"{name}-maps.npy", maps[name])
    subprocess.run([sys.executable, "-c", READ, *models], cwd=tmp_path, check=True)
    for name, (model, _) in models.items():
        expected = np.asarray(model(maps[name]))
        assert expected.std() > 0
        found = np.load(tmp_path / f"{name}-kappa.npy")
        np.testing.assert_allclose(found, expected, atol=1e-4 * expected.std())
    said = json.loads((tmp_path / "task.json").read_text())
    assert said == STACK.to_json()
    assert (said["name"], said["stokes"], said["dataset_version"]) == ("any", "TQU", "2.0.0")
