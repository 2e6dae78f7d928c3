"""Notebooks of examples/, run anew.

`python -m tests.examples.notebooks` writes what they print and draw into
their files.
"""

import pathlib
import re

import nbformat
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).parents[2] / "examples"
PATHS = sorted(FOLDER.glob("*.ipynb"))


def executed(path, epochs=None):
    """A notebook with the outputs of a run on this machine.

    Notes that TensorFlow's libraries write past Python go to the terminal,
    not into the notebook.

    Args:
        path: Of its file, which stays as it is.
        epochs: How many each training in it takes; by default as many as
            the notebook says.

    Raises:
        CellExecutionError: if a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells if epochs is not None else ():
        if cell.cell_type == "code":
            cell.source = re.sub(
                r"\bepochs=[1-9]\d*", f"epochs={epochs}", cell.source
            )
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        # Where Jupyter starts it, too.
        resources={"metadata": {"path": str(path.parent)}},
        # When each cell began and ended.
        record_timing=False,
        # One text, however many pieces it comes in.
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.capture_fd_output=False"],
    )
    client.execute()
    # The versions of who runs it.
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


if __name__ == "__main__":
    for path in PATHS:
        nbformat.write(executed(path), path)
