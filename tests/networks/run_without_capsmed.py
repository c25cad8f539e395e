"""Run a saved TorchScript file in a process that cannot import capsmed: MODEL INPUT OUTPUT."""

import sys
import warnings

import torch

sys.modules["capsmed"] = None
warnings.simplefilter("ignore")

model, source, target = sys.argv[1:]
with torch.no_grad():
    torch.save(torch.jit.load(model)(torch.load(source)), target)
