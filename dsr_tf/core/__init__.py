"""What all parts share: counts, draws, schedules, packed arrays."""
