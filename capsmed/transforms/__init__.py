"""Only the transforms MONAI lacks."""
