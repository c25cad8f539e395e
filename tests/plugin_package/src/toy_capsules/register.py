"""What the entry point names: importing this registers the components."""

from capsmed.data.whole_sets import register_data_source
from capsmed.networks import register, register_backbone
from toy_capsules.cosine import CosineRouting
from toy_capsules.pyramid import Pyramid
from toy_capsules.shapes import discs_and_rings

register("cosine", CosineRouting)
register_backbone("pyramid", Pyramid)
register_data_source("discs_and_rings", discs_and_rings)
