"""`python -m dsr_tf.evaluate`, see `dsr_tf.commands.evaluate`."""

from dsr_tf.commands.evaluate import main

if __name__ == "__main__":
    main()
