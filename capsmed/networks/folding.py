"""Batch norm and ReLU folded into the convolution before them, wherever that is certain.

What follows what is read from each module's own forward by `torch.fx`, its parts taken as they
are; nothing is run. Where a forward cannot be read, as it asks for sizes, its parts stay as they
are, and the parts' own forwards are read all the same. What such a forward does with a part's
parameters cannot be seen, so `for_inference` compares scores where it knows the size of an image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from operator import attrgetter
from typing import Any

from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from capsmed.networks.layers.hooks import hooked
from capsmed.networks.layers.inference_conv import InferenceConv

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def fold(network: nn.Module) -> list[str]:
    """Fold each batch norm into the convolution that it alone follows directly.

    Convolutions then become `InferenceConv`, which takes a following ReLU along. Layers that are
    used at several places, whose parameters another forward reads, that have hooks, or are of a
    class of somebody's own stay as they are. So does a norm after a linear layer: of features
    ``[batch, channels, numbers]`` it takes the second axis, and their axes are not known here.

    Args:
        network: in evaluation mode; is changed. The names of its parts stay the same.

    Returns:
        Names of the batch norms that are gone.
    """
    folded = []
    for first, second in _neighbours(network):
        norm: Any = network.get_submodule(second)
        layer: Any = network.get_submodule(first)
        if type(norm) not in BATCH_NORMS or norm.running_mean is None:
            continue
        if type(layer) not in CONVOLUTIONS or layer.out_channels != norm.num_features:
            continue
        _replace(network, first, fuse_conv_bn_eval(layer, norm))
        _replace(network, second, nn.Identity())
        folded.append(second)
    _prepare(network)
    return folded


def _prepare(network: nn.Module) -> None:
    """Put an `InferenceConv` in the place of each plain convolution, with the ReLU after it."""
    relu = {
        first: second
        for first, second in _neighbours(network)
        if type(network.get_submodule(second)) is nn.ReLU
    }
    for name in _separate(network, _graphs(network)):
        layer: Any = network.get_submodule(name)
        if name and InferenceConv.takes(layer) and not hooked(layer):
            _replace(network, name, InferenceConv(layer, relu=name in relu))
            if name in relu:
                _replace(network, relu[name], nn.Identity())


class _OneLevel(fx.Tracer):
    """Reads a module's forward; of its parts it looks into plain chains only."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        """Whether ``module`` is taken as it is."""
        return not _is_chain(module)


def _neighbours(network: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of two layers of which the second alone sees what the first gives."""
    graphs = _graphs(network)
    separate = set(_separate(network, graphs))
    for name, graph in graphs.items():
        module = network.get_submodule(name)
        if name and _is_chain(module):  # its owner may run its layers one by one
            continue
        for first, second in _edges(module, graph):
            names = [f"{name}.{part}".strip(".") for part in (first, second)]
            layers = [network.get_submodule(each) for each in names]
            if separate.issuperset(names) and not any(map(hooked, layers)):
                yield names[0], names[1]


def _graphs(network: nn.Module) -> dict[str, fx.Graph]:
    """The forward of each module that has parts, by its name; not those that cannot be read."""
    found = {}
    for name, module in network.named_modules():
        if not any(True for _ in module.children()):
            continue
        with suppress(Exception):  # a foreign forward may raise anything when it meets a symbol
            found[name] = _OneLevel().trace(module)
    return found


def _edges(module: nn.Module, graph: fx.Graph) -> list[tuple[str, str]]:
    """Within one module's forward."""
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    found = []
    for node in graph.nodes:
        source = _source(module, node)
        if source is not None and calls[node.target] == calls[source.target] == 1:
            found.append((str(source.target), str(node.target)))
    return found


def _source(module: nn.Module, node: fx.Node) -> fx.Node | None:
    """The layer whose output ``node`` alone takes; an identity between them does not count."""
    while node.op == "call_module" and len(node.args) == 1:
        source = node.args[0]
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) > 1:
            return None
        if type(module.get_submodule(str(source.target))) is not nn.Identity:
            return source
        node = source
    return None


def _separate(network: nn.Module, graphs: Mapping[str, fx.Graph]) -> list[str]:
    """Names of the modules that have one name only, and whose tensors no other forward reads."""
    named = list(network.named_modules(remove_duplicate=False))
    counts = Counter(id(module) for _, module in named)
    read = {
        id(tensor) for name in graphs for tensor in _read(network.get_submodule(name), graphs[name])
    }
    return [
        name
        for name, module in named
        if counts[id(module)] == 1 and read.isdisjoint(map(id, _tensors(module)))
    ]


def _read(module: nn.Module, graph: fx.Graph) -> Iterator[Any]:
    """Parameters and buffers that a forward takes itself, its own and those of its parts."""
    for node in graph.nodes:
        if node.op == "get_attr":
            yield attrgetter(str(node.target))(module)


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters(recurse=False)
    yield from module.buffers(recurse=False)


def _is_chain(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module.eval())
