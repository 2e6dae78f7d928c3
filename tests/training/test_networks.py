"""Networks of the papers on pruning, through `dsr_tf.train`."""

import json

import keras
import pytest

from dsr_tf.commands import train

ADAMW = ["--optimizer=adamw", "--weight_decay=0.05"]
# A network, flags of its own, and its kernels with masks.
NETWORKS = {
    "mlp": (["--initial_gamma=0.5"], 3),
    "lenet_5": (["--dataset=random", "--image_size=16"], 4),
    "resnet_cifar": (["--depth=8"], 6),
    "vgg_cifar": (["--depth=19"], 15),
    "mobilenet": ([], 13),
    "conv_mixer": (["--depth=2", *ADAMW], 4),
    # Four projections of attention and two layers of the MLP.
    "vit": (["--depth=1", *ADAMW], 6),
}


@pytest.mark.parametrize(
    "name",
    [
        "mlp",
        "resnet_cifar",
        "vit",
        pytest.param("mobilenet", marks=pytest.mark.slow),
        pytest.param("conv_mixer", marks=pytest.mark.slow),
        pytest.param("lenet_5", marks=pytest.mark.slow),
        pytest.param("vgg_cifar", marks=pytest.mark.slow),
    ],
)
def test_a_run_of_a_network(name, tmp_path):
    more, num_masked = NETWORKS[name]
    train.main(
        [
            "train",
            f"--model={name}",
            "--method=dsr",
            "--sparsity=0.5",
            "--num_reallocated=0.1",
            "--period=1",
            "--width=0.1",
            "--epochs=1",
            "--batch_size=600",
            "--learning_rate=0.05",
            "--nojit_compile",
            "--steps_per_execution=1",
            f"--output_dir={tmp_path}",
            *more,
        ]
    )
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["model"] == name
    assert len(summary["kernels"]) == num_masked
    assert summary["mask_density"] == pytest.approx(0.5, abs=1e-3)
    assert summary["num_reallocations"] > 0
    model = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    depth = {"resnet_cifar": 8, "vgg_cifar": 17}.get(name)
    kernels = [layer for layer in model.layers if hasattr(layer, "kernel")]
    assert depth in (None, len(kernels))
