"""Run saved TorchScript files in a process that cannot import capsmed: FOLDER NAME..."""

import sys
import warnings
from pathlib import Path

import torch

sys.modules["capsmed"] = None
warnings.simplefilter("ignore")

folder = Path(sys.argv[1])
for name in sys.argv[2:]:
    inputs = torch.load(folder / f"{name}.in")
    with torch.no_grad():
        torch.save(torch.jit.load(folder / f"{name}.pt")(*inputs), folder / f"{name}.out")
