"""Images as files, in a folder for each class."""

import os

import numpy as np

from dsr_tf.data.image_data import DataError
from dsr_tf.data.streaming import Files

_TEST_FOLDERS = ("test", "val", "validation")
_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")


def find(folder: str | os.PathLike | None) -> tuple[Files, Files, list[str]]:
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
    try:
        classes = _subfolders(train_folder)
        splits = (
            _list(train_folder, classes),
            _list(os.path.join(folder, test), classes),
        )
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be read ({error.strerror})"
        ) from error
    return *splits, classes


def _subfolders(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def _list(folder: str, classes: list[str]) -> Files:
    strange = sorted(set(_subfolders(folder)) - set(classes))
    if strange:
        raise DataError(
            f"{folder} has the class {strange[0]!r}, which train/ has not"
        )
    paths, labels = [], []
    for label, name in enumerate(classes):
        path = os.path.join(folder, name)
        files = _images(path) if os.path.isdir(path) else []
        paths += files
        labels += [label] * len(files)
    if not paths:
        raise DataError(
            f"{folder} has no folders with images ({', '.join(_ENDINGS)})"
        )
    return Files(np.array(paths), np.array(labels, "int32"))


def _images(folder: str) -> list[bytes]:
    """Paths of the images in a folder, as bytes: names may be of any kind.

    Raises:
        DataError: if one is no file, or may not be read.
    """
    with os.scandir(folder) as entries:
        found = sorted(
            (e for e in entries if e.name.lower().endswith(_ENDINGS)),
            key=lambda entry: entry.name,
        )
    for entry in found:
        if not (entry.is_file() and os.access(entry.path, os.R_OK)):
            raise DataError(f"{entry.path} is no file that can be read")
    return [os.fsencode(entry.path) for entry in found]
