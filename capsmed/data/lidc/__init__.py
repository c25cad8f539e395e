"""LIDC-IDRI's annotations: readers' outlines, which of them mean one nodule, and its consensus."""
