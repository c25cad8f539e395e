"""Routings between capsules, in a MONAI ``LayerFactory`` called ``Routing``.

>>> Routing["dynamic"].__name__
'DynamicRouting'
"""

from capsmed.networks.registry import Routing, register
from capsmed.networks.routing.base import BaseRouting
from capsmed.networks.routing.dynamic import DynamicRouting

register("dynamic", DynamicRouting)

__all__ = ["BaseRouting", "DynamicRouting", "Routing", "register"]
