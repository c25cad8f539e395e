"""capsmed: capsule-network classifiers for small cohorts of medical images."""

__version__ = "0.1.0"
