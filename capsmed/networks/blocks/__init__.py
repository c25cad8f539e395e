"""Larger parts of a network: the convolutional encoder and the reconstruction decoders."""
