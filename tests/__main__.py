"""Runs the tests under Bazel, which starts a file and not a module."""

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv[1:]))
