"""The formats of models on disk, a file each.

A file here that gives a `Format` the name `FORMAT` is all that a new format
takes: `dsr_tf.export.registry` finds it, so `python -m dsr_tf.evaluate` runs
such models, and, if it is an `ExportFormat`, `python -m dsr_tf.export
--format=NAME` writes them.
"""
