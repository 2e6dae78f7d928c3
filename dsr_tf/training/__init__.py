"""What `dsr_tf.train` runs: flags, an experiment, a run in its folder."""
