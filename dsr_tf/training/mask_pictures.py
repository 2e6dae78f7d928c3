"""`masks.json`: small pictures of the masks that a run has ended with."""

import base64
import dataclasses
import json
import math
import os
import zlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Self

import keras
import numpy as np

from dsr_tf.callbacks import mask_image
from dsr_tf.core.checks import is_integer
from dsr_tf.layers import masked_weights
from dsr_tf.layers.emptied import axes_of
from dsr_tf.layers.emptied import num_dead_units
from dsr_tf.training import files

NAME = "masks.json"
_FORMAT = 1
# Of a picture along a side, and of all pictures together.
MAX_SIDE, _MAX_PIXELS = 256, 1_500_000
_MAX_BYTES = 2**26


@dataclasses.dataclass(frozen=True)
class Picture:
    """A mask, or who reads the images that a network takes.

    Attributes:
        path: The kernel.
        pixels: uint8 array `(height, width)`, 255 where all is active.
        granularity: What an entry of the mask governs.
        num_units: Output units, or channels.
        num_dead_units: Those of them without an active weight.
    """

    path: str
    pixels: np.ndarray
    granularity: str = ""
    num_units: int = 0
    num_dead_units: int = 0

    def to_dict(self) -> dict[str, Any]:
        packed = zlib.compress(self.pixels.tobytes(), level=9)
        return {
            **dataclasses.asdict(self),
            "shape": list(self.pixels.shape),
            "pixels": base64.b64encode(packed).decode(),
        }

    @classmethod
    def of_dict(cls, given: Mapping[str, Any]) -> Self:
        height, width = given["shape"]
        counts = [given["num_units"], given["num_dead_units"]]
        names = [given["path"], given["granularity"]]
        if not (
            all(is_integer(n) and 0 < n <= MAX_SIDE for n in (height, width))
            and all(is_integer(n) and 0 <= n < 2**63 for n in counts)
            and all(isinstance(name, str) for name in names)
        ):
            raise ValueError(f"a picture is {str(given)[:60]}")
        decoder = zlib.decompressobj()
        packed = base64.b64decode(given["pixels"])
        data = decoder.decompress(packed, height * width + 1)
        if len(data) != height * width:
            raise ValueError(f"a picture has not {height} x {width} pixels")
        pixels = np.frombuffer(data, "uint8").reshape(height, width)
        return cls(names[0], pixels, names[1], *counts)


@dataclasses.dataclass(frozen=True)
class MaskPictures:
    """The pictures of a run.

    Attributes:
        kernels: A `Picture` of each mask, in the order of the network.
        inputs: How many units read each pixel of the images, as shares of
            the most; None if the first kernel reads no whole images.
    """

    kernels: Sequence[Picture]
    inputs: Picture | None = None


def of_model(model: keras.Model, image_shape: Sequence[int]) -> MaskPictures:
    """Draw the masks of a model as they are.

    Args:
        model: A built Keras model.
        image_shape: Shape of the images that it takes.
    """
    masked = masked_weights(model)
    side = math.isqrt(_MAX_PIXELS // max(1, len(masked)))
    side = max(1, min(MAX_SIDE, side))
    kernels, inputs = [], None
    for weight in masked:
        places = weight.variable.places()
        axes = axes_of(weight).channels
        kernels.append(
            Picture(
                weight.path,
                _pixels(mask_image.of_kernel(weight, places), side),
                weight.granularity,
                math.prod(weight.grouping.kernel_shape[n] for n in axes),
                num_dead_units(weight, places),
            )
        )
        if len(kernels) == 1:
            image = mask_image.of_inputs(weight, places, image_shape)
            if image is not None:
                inputs = Picture(weight.path, _pixels(image, side))
    return MaskPictures(kernels, inputs)


def write(folder: str | os.PathLike, pictures: MaskPictures) -> None:
    """Write them to the folder of a run, whole or not at all."""
    inputs = pictures.inputs
    content = {
        "format": _FORMAT,
        "kernels": [picture.to_dict() for picture in pictures.kernels],
        "inputs": None if inputs is None else inputs.to_dict(),
    }
    with files.written_whole(os.path.join(folder, NAME)) as file:
        file.write(json.dumps(content).encode())


def read(folder: str | os.PathLike) -> MaskPictures | None:
    """The pictures in the folder of a run.

    Returns:
        None if there are none, as of earlier versions.

    Raises:
        ValueError: if the file is damaged, or of a later version.
    """
    path = os.path.join(folder, NAME)
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES} bytes")
        given = json.loads(content)
        if given["format"] != _FORMAT:
            raise ValueError(f"its format is {str(given['format'])[:60]}")
        return MaskPictures(
            [Picture.of_dict(picture) for picture in given["kernels"]],
            None
            if given["inputs"] is None
            else Picture.of_dict(given["inputs"]),
        )
    except FileNotFoundError:
        return None
    # Damage raises errors of several kinds.
    except Exception as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{path} cannot be read ({reason})") from error


def _pixels(image: np.ndarray, side: int) -> np.ndarray:
    """An image of values in [0, 1] as bytes, at most `side` along a side."""
    down, across = (-(-n // side) for n in image.shape)
    rows = np.arange(0, image.shape[0], down)
    columns = np.arange(0, image.shape[1], across)
    sums = np.add.reduceat(np.add.reduceat(image, rows), columns, axis=1)
    tall = np.diff([*rows, image.shape[0]])
    wide = np.diff([*columns, image.shape[1]])
    means = sums / np.outer(tall, wide)
    return np.rint(255 * means).clip(0, 255).astype("uint8")
