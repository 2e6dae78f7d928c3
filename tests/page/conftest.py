"""A run that was never trained, in a folder that the real logs write."""

import json
import types

import numpy as np
import pytest

from dsr_tf.reallocation.record import Record
from dsr_tf.training import mask_pictures
from dsr_tf.training.ages import Ages
from dsr_tf.training.logs import Table
from dsr_tf.training.logs import reallocation_row
from dsr_tf.training.mask_pictures import MaskPictures
from dsr_tf.training.mask_pictures import Picture

SIZE = 400


class Logged:
    """Kernels whose masks change at random, and the logs of that."""

    def __init__(self, folder, paths, num_epochs, num_reallocations):
        self.folder, self.random = folder, np.random.default_rng(0)
        folder.mkdir()
        self.kernels = [self._kernel(path) for path in paths]
        ages = Ages(self.kernels)
        tables = [
            Table(folder / name) for name in ("reallocations.csv", "ages.csv")
        ]
        for step in range(5, 5 * num_reallocations + 1, 5):
            record = self._move(step)
            tables[0].append(reallocation_row(record))
            tables[1].append(ages.look(record))
        metrics = Table(folder / "metrics.csv")
        for epoch in range(num_epochs):
            row = {
                "loss": 2 / (epoch + 1),
                "accuracy": 1 - 0.6 / (epoch + 1),
                "test_loss": 2.1 / (epoch + 1),
                "test_accuracy": 1 - 0.7 / (epoch + 1),
                "learning_rate": 0.1,
            }
            metrics.append({"epoch": epoch, **row})
        pixels = (self.random.random((64, 64)) < 0.1) * np.uint8(255)
        pictures = [Picture(path, pixels, "element", 64, 3) for path in paths]
        mask_pictures.write(
            folder, MaskPictures(pictures, Picture(paths[0], pixels[:8, :8]))
        )
        self._write_summary(num_epochs, num_reallocations)

    def _kernel(self, path):
        kernel = types.SimpleNamespace(path=path, group_size=1)
        kernel.active = set(self.random.permutation(SIZE)[:40].tolist())
        kernel.variable = types.SimpleNamespace(
            places=lambda: np.array(sorted(kernel.active))
        )
        return kernel

    def _move(self, step):
        pruned, grown = {}, {}
        for kernel in self.kernels:
            places = np.array(sorted(kernel.active))
            gone = set(self.random.choice(places, 4, replace=False).tolist())
            free = np.array(sorted(set(range(SIZE)) - kernel.active))
            count = 3 + step // 5 % 3
            new = set(self.random.choice(free, count, replace=False).tolist())
            kernel.active = kernel.active - gone | new
            pruned[kernel.path], grown[kernel.path] = len(gone), len(new)
        active = {k.path: len(k.active) for k in self.kernels}
        return Record(step, 1e-3 / step, pruned, grown, active, 0)

    def _write_summary(self, num_epochs, num_reallocations):
        num_active = sum(len(k.active) for k in self.kernels)
        size = SIZE * len(self.kernels)
        summary = {
            "method": "dsr",
            "dataset": "digits",
            "model": "lenet",
            "epochs": num_epochs,
            "test_accuracy": 0.9,
            "best_test_accuracy": 0.95,
            "num_parameters": size,
            "num_active_parameters": num_active,
            "mask_density": num_active / size,
            "model_density": num_active / size,
            "num_macs": size,
            "num_active_macs": num_active,
            "num_reallocations": num_reallocations,
            "seconds_per_epoch": 1.5,
            "saved_model_bytes": 4567,
            "settings": {"epochs": num_epochs, "dataset": "digits"},
            "kernels": [
                {
                    "path": k.path,
                    "size": SIZE,
                    "num_active": len(k.active),
                    "density": len(k.active) / SIZE,
                }
                for k in self.kernels
            ],
        }
        (self.folder / "summary.json").write_text(json.dumps(summary))


@pytest.fixture(scope="session")
def logged(tmp_path_factory):
    """A function that writes the folder of a run of so many kernels."""

    def write(paths, num_epochs=3, num_reallocations=6):
        folder = tmp_path_factory.mktemp("logged") / "run"
        Logged(folder, paths, num_epochs, num_reallocations)
        return folder

    return write
