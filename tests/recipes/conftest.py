"""What tests of several recipes share."""

from tests.recipes.narrowed_runs import dense_run

__all__ = ["dense_run"]
