"""The bodies of the commands, `python -m dsr_tf.NAME`."""
