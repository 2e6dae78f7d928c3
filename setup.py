"""Adds the flagfiles to the wheel; all else is in setup.cfg."""

import setuptools

setuptools.setup(
    packages=[
        *setuptools.find_packages(include=["dsr_tf", "dsr_tf.*"]),
        "dsr_tf.flags",
    ],
    # They stand at the top of the repository, where users find them.
    package_dir={"dsr_tf.flags": "flags"},
    package_data={"dsr_tf": ["py.typed"], "dsr_tf.flags": ["**/*.flags"]},
)
