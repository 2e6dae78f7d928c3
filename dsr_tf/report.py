"""`python -m dsr_tf.report`, see `dsr_tf.commands.report`."""

from dsr_tf.commands.report import main

if __name__ == "__main__":
    main()
