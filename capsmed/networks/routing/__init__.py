"""Routings between capsules, in a MONAI ``LayerFactory`` called ``Routing``.

>>> Routing["dynamic"].__name__
'DynamicRouting'
"""

from capsmed.networks.registry import Routing, register
from capsmed.networks.routing.base import BaseRouting, IterativeRouting
from capsmed.networks.routing.consistent import ConsistentRouting
from capsmed.networks.routing.dynamic import DynamicRouting
from capsmed.networks.routing.em import EMRouting
from capsmed.networks.routing.inverted_attention import InvertedAttentionRouting
from capsmed.networks.routing.self_attention import SelfAttentionRouting
from capsmed.networks.routing.self_routing import SelfRouting
from capsmed.networks.routing.uniform import UniformRouting
from capsmed.networks.routing.variational_bayes import VariationalBayesRouting

register("consistent", ConsistentRouting)
register("dynamic", DynamicRouting)
register("em", EMRouting)
register("inverted_attention", InvertedAttentionRouting)
register("self_attention", SelfAttentionRouting)
register("self_routing", SelfRouting)
register("uniform", UniformRouting)
register("variational_bayes", VariationalBayesRouting)

__all__ = [
    "BaseRouting",
    "ConsistentRouting",
    "DynamicRouting",
    "EMRouting",
    "InvertedAttentionRouting",
    "IterativeRouting",
    "Routing",
    "SelfAttentionRouting",
    "SelfRouting",
    "UniformRouting",
    "VariationalBayesRouting",
    "register",
]
