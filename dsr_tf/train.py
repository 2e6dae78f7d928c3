"""`python -m dsr_tf.train`, see `dsr_tf.commands.train`."""

from dsr_tf.commands.train import main

if __name__ == "__main__":
    main()
