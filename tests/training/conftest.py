"""What tests of runs that go wrong compare them with."""

import pytest

from dsr_tf.commands import train


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The folder of a run that nothing happened to; it stays as it is."""
    from tests.training.test_bad_days import arguments

    folder = tmp_path_factory.mktemp("runs") / "whole"
    train.main(arguments(folder))
    return folder
