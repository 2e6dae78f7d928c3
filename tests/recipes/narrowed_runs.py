"""Short runs on digits that narrow what a run before them has trained."""

import pytest

from dsr_tf.training.experiment import Experiment
from dsr_tf.training.run import Run

# Of LeNet-300-100 for images of 8x8: kernels, gammas and betas; multiply-adds.
PARAMETERS, MACS = 51020, 50200


def experiment(folder="x", **settings):
    return Experiment(
        **{
            "output_dir": str(folder),
            "jit_compile": False,
            "steps_per_execution": 1,
            "epochs": 2,
            **settings,
        }
    )


def trained(folder, **settings):
    """Train, and return the summary."""
    return Run(experiment(folder, **settings)).train()


@pytest.fixture(scope="session")
def dense_run(tmp_path_factory):
    """The folder of a dense run, and its summary."""
    folder = tmp_path_factory.mktemp("dense") / "run"
    return folder, trained(folder, method="dense", epochs=4)
