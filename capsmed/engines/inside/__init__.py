"""Seeing inside a trained capsule network: couplings, reconstructions, capsule health."""

from capsmed.engines.inside.look import inspect_run

__all__ = ["inspect_run"]
