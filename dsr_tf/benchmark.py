"""`python -m dsr_tf.benchmark`, see `dsr_tf.commands.benchmark`."""

from dsr_tf.commands.benchmark import main

if __name__ == "__main__":
    main()
