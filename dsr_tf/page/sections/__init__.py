"""The parts of a page, a file each: from a run to markup, empty if there is
nothing to show."""
