"""What is on record and what lies in the stores, together: get a run's files, check them, collect garbage."""
