"""What a run leaves behind that is killed, made of one that was not."""

import contextlib
import shutil

from dsr_tf.training import checkpoint


def after(num_batches, whole, folder):
    """Copy a run as a kill leaves it, some time after a checkpoint.

    Rows of its tables that were written later are there still.

    Args:
        num_batches: How many came before that checkpoint.
        whole: Folder of a run that came to its end, and kept all of them.
        folder: Where the copy goes.
    """
    shutil.copytree(whole, folder)
    for name in ("summary.json", "masks.json", "model.keras"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "saved_model")
    for path in (folder / "checkpoints").iterdir():
        if checkpoint.read(path).num_batches > num_batches:
            path.unlink()
    newest = checkpoint.read_newest(folder / "checkpoints")
    assert newest.num_batches == num_batches


@contextlib.contextmanager
def gone(folder):
    """Meanwhile it is not where it was."""
    shutil.move(folder, f"{folder}-moved")
    try:
        yield
    finally:
        shutil.move(f"{folder}-moved", folder)
