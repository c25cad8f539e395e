"""Seeing inside a trained capsule network: couplings, reconstructions, capsule health."""
