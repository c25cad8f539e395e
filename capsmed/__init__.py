"""capsmed: capsule-network classifiers for small cohorts of medical images."""

import os

__version__ = "0.1.0"

# `import monai` imports MLflow where it is installed, which by default reports its use to its
# makers. Set to false before the start, the variable allows it.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
