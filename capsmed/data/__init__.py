"""Cohorts, readers, splits, patches: from the user's files to batches."""
