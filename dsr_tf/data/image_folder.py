"""Images as files, in a folder for each class."""

import os

import numpy as np

from dsr_tf.data.image_data import DataError
from dsr_tf.data.streaming import Files

_TEST_FOLDERS = ("test", "val", "validation")
_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")


def find(folder):
    """The files in `folder/train/CLASS/` and `folder/test/CLASS/`.

    Args:
        folder: Path. The second folder may be called `val` or `validation`.

    Returns:
        Two `Files`, and the list of classes in the order of their labels.

    Raises:
        DataError: if folders or files are missing.
    """
    if not folder:
        raise DataError(
            "image_folder needs data_dir: the folder that holds train/ and "
            "test/ with a folder of images for each class"
        )
    test = next(
        (n for n in _TEST_FOLDERS if os.path.isdir(os.path.join(folder, n))),
        None,
    )
    train_folder = os.path.join(folder, "train")
    if test is None or not os.path.isdir(train_folder):
        raise DataError(
            "image_folder needs the folders train/ and test/ (or val/, "
            f"validation/) in data_dir={folder}"
        )
    classes = sorted(
        name
        for name in os.listdir(train_folder)
        if os.path.isdir(os.path.join(train_folder, name))
    )
    splits = [
        _list(os.path.join(folder, split), classes) for split in ("train", test)
    ]
    return *splits, classes


def _list(folder, classes):
    strange = sorted(
        name
        for name in os.listdir(folder)
        if os.path.isdir(os.path.join(folder, name)) and name not in classes
    )
    if strange:
        raise DataError(
            f"{folder} has the class {strange[0]!r}, which train/ has not"
        )
    paths, labels = [], []
    for label, name in enumerate(classes):
        path = os.path.join(folder, name)
        files = sorted(os.listdir(path)) if os.path.isdir(path) else []
        files = [f for f in files if f.lower().endswith(_ENDINGS)]
        paths += [os.path.join(path, file) for file in files]
        labels += [label] * len(files)
    if not paths:
        raise DataError(
            f"{folder} has no folders with images ({', '.join(_ENDINGS)})"
        )
    return Files(np.array(paths), np.array(labels, "int32"))
