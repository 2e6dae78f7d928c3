"""The papers' rules for channels: a file and a function each."""
