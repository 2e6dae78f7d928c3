"""The network and its data."""

import dataclasses

from dsr_tf.command_line.flag_kinds import Number
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.data import AUGMENTATIONS
from dsr_tf.models import MODELS
from dsr_tf.training.settings.flag import flag


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """The network and its data."""

    # Never None in an `Experiment`, which refuses that.
    output_dir: str = flag(None, "Folder for everything that the run writes.")
    model: str = flag("lenet_300_100", "Network.", tuple(MODELS))
    depth: int | None = flag(
        None,
        "Layers of resnet_cifar (56, or others of 6 n + 2) or vgg_cifar (16 "
        "or 19), blocks of conv_mixer (8) or vit (6); not given: the first of "
        "these.",
        Whole(1),
    )
    batch_normalization: bool = flag(
        True, "Whether lenet_300_100 and mlp normalize batches."
    )
    initial_gamma: float | None = flag(
        None,
        "Where the scales of batch normalization start; not given: 1, or "
        "0.5 in vgg_cifar.",
        Number(above=True),
    )
    dataset: str = flag(
        "digits",
        "'digits' (embedded), 'random' (noise), 'image_folder', or a "
        "TensorFlow Datasets name such as 'mnist'.",
    )
    data_dir: str | None = flag(
        None, "Folder of TensorFlow Datasets, or the image folder."
    )
    image_size: int | None = flag(
        None,
        "Height and width of images where they differ in size, or of noise.",
        Whole(1),
    )
    augmentation: str = flag(
        "none",
        "Views of training images: as they are, shifted by up to 4 pixels "
        "and mirrored, or crops of any size.",
        AUGMENTATIONS,
    )
    width: float = flag(
        1.0,
        "Multiplies the units or channels of layers (but of outputs and of "
        "the stem of WRN-28-2).",
        Number(above=True),
    )
