"""`python -m dsr_tf.export`, see `dsr_tf.commands.export`."""

from dsr_tf.commands.export import main

if __name__ == "__main__":
    main()
