"""Where exports may go, and what is there when they go wrong."""

import os

import keras
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf.export import target


def small():
    return keras.Sequential(
        [keras.Input((3,)), layers.SparseDense(2, 0.5, seed=0)]
    )


UNLOADABLE = ["run[dsr]", "a*", "a?", "a\\b", "in[side]/m", "a\udcff", "a\0b"]


@pytest.mark.parametrize("name", UNLOADABLE, ids=ascii)
@pytest.mark.parametrize("write", ["saved_model", "dense_saved_model"])
def test_paths_that_tensorflow_cannot_load_from(write, name, tmp_path):
    path = os.path.join(tmp_path, name)
    with pytest.raises(ValueError, match="local folder from which.*Received"):
        getattr(dsr_tf.export, write)(small(), path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["a b", "é", "a]", "a{b}", "a:b", "a%41", "~"])
def test_paths_that_tensorflow_can_load_from(name, tmp_path):
    target.check_loadable(tmp_path / name)


def test_paths_that_are_addresses():
    with pytest.raises(ValueError, match="other file systems to it"):
        target.check_loadable("gs://bucket/model")
