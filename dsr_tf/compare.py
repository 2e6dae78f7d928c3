"""`python -m dsr_tf.compare`, see `dsr_tf.commands.compare`."""

from dsr_tf.commands.compare import main

if __name__ == "__main__":
    main()
