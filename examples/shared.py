"""What the examples share: flags, a check of files, images and texts."""

import argparse
import os
import pydoc
import re
import sys

import keras
import numpy as np

from dsr_tf import data

# What texts are about is the line of the module whose `help` they are in.
SUBJECTS = [
    "socket ssl smtplib imaplib ftplib http.client http.cookiejar ipaddress",
    "unittest.case unittest.mock doctest pdb inspect ast",
    "decimal statistics fractions random datetime calendar",
    "tarfile zipfile os pathlib shutil tempfile glob csv",
]


def parse_arguments(arguments, description, epochs):
    """The flags `epochs` and `model_file`, of a list or the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--epochs", type=int, default=epochs)
    name, _ = os.path.splitext(os.path.basename(sys.argv[0]))
    parser.add_argument("--model_file", default=f"{name}.keras")
    return parser.parse_args(arguments)


def check_file(path, model, x):
    """Load a saved model, and check that it gives what `model` gives."""
    loaded = keras.models.load_model(path)
    both = (keras.tree.flatten(each(x)) for each in (loaded, model))
    for found, expected in zip(*both):
        np.testing.assert_array_equal(found, expected)


def load_digits(*shape):
    """Scanned digits: `(x, y), (x_test, y_test)`, 1437 and 360 of them.

    An image is 64 grey levels from 0 to 1, in the shape that is given.
    """
    digits = data.load("digits")
    x, x_test = (
        images.reshape(-1, *shape).astype("float32") / 255
        for images in (digits.train_images, digits.test_images)
    )
    return (x, digits.train_labels), (x_test, digits.test_labels)


def load_texts(num_words, length):
    """Paragraphs of Python's `help`, in an order that stays the same.

    Args:
        num_words: How many words have a number.
        length: How many words of each paragraph are given.

    Returns:
        `(x, y), (x_test, y_test)`, a fifth for the test: x are numbers of
        words, 0 after the last and 1 for rare ones; y is the line.
    """
    subject_of = {}
    for subject, modules in enumerate(SUBJECTS):
        for module in modules.split():
            text = pydoc.render_doc(module, renderer=pydoc.plaintext)
            for paragraph in re.split(r"\n[ |]*\n", text):
                if len(paragraph.split()) >= 8:
                    subject_of[" ".join(paragraph.split())] = subject
    paragraphs = list(subject_of)
    numbers = keras.layers.TextVectorization(
        num_words, output_sequence_length=length
    )
    numbers.adapt(paragraphs)
    x = np.array(numbers(paragraphs), "int32")
    y = np.array(list(subject_of.values()))
    order = np.random.default_rng(0).permutation(len(x))
    train, test = np.split(order, [len(x) * 4 // 5])
    return (x[train], y[train]), (x[test], y[test])
