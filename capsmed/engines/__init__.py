"""Training and prediction with MONAI's engines: from a configuration to a run folder."""
