"""Routings between capsules, in a MONAI ``LayerFactory`` called ``Routing``.

>>> Routing["dynamic"].__name__
'DynamicRouting'
"""

from capsmed.networks.registry import Routing, register
from capsmed.networks.routing.base import BaseRouting, IterativeRouting
from capsmed.networks.routing.dynamic import DynamicRouting
from capsmed.networks.routing.uniform import UniformRouting

register("dynamic", DynamicRouting)
register("uniform", UniformRouting)

__all__ = [
    "BaseRouting",
    "DynamicRouting",
    "IterativeRouting",
    "Routing",
    "UniformRouting",
    "register",
]
