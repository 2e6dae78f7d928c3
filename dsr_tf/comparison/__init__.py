"""What `dsr_tf.compare` does: plan runs, run them, sum their results up."""
