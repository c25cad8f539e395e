"""`capsmed plugin check`: a sound component passes, a faulty one fails the check that it breaks."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

from capsmed import plugins
from capsmed.cli import main
from capsmed.data.importers import IMPORTERS, Imported, Importer
from capsmed.data.readers import READERS
from capsmed.data.volume import from_array
from capsmed.data.whole_sets import DATA_SOURCES, WholeSet
from capsmed.losses import LOSSES
from capsmed.networks import BACKBONES, NETWORKS
from capsmed.plugins.contracts import running


class Sound(nn.Module):
    score_kind = "logits"

    def __init__(self, spatial_dims, in_channels, num_classes, input_size):
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes: expected 1 or more, got {num_classes}")
        self.linear = nn.Linear(in_channels, num_classes)

    def forward(self, image):
        return self.linear(image.flatten(2).mean(2))


class Unused(Sound):
    def __init__(self, *sizes, **named):
        super().__init__(*sizes, **named)
        self.unused = nn.Linear(2, 2)


class Batchwise(Sound):
    def forward(self, image):
        return super().forward(image - image.mean(0, keepdim=True))


class Writes(Sound):
    def forward(self, image):
        return super().forward(image.mul_(2))


class Untold(Sound):
    score_kind = None


class Lengthy(Sound):
    score_kind = "lengths"


class Divides(Sound):
    def forward(self, image):
        return super().forward(image / image.amax((1, 2), keepdim=True))


class Forgets(Sound):
    def __init__(self, *sizes, **named):
        super().__init__(*sizes, **named)
        self.shift = torch.rand(1)

    def forward(self, image):
        return super().forward(image + self.shift)


class Fixed(Sound):
    def forward(self, image):
        return torch.stack([super(Fixed, self).forward(x.unsqueeze(0))[0] for x in image])


class Squeezed(Sound):
    def forward(self, image):
        return super().forward(image).squeeze()


class Pyramid(nn.Module):
    def __init__(self, spatial_dims, in_channels, input_size):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4, 3, 4)

    def forward(self, image):
        return self.conv(image)


class Detached(Pyramid):
    def forward(self, image):
        return self.conv(image).detach()


class Flattened(Pyramid):
    def forward(self, image):
        return self.conv(image).flatten(1)


class Error(nn.Module):
    score_kinds = frozenset({"logits"})

    def forward(self, output, target):
        return nn.functional.cross_entropy(output["scores"], target.flatten())


class PerSample(Error):
    def forward(self, output, target):
        return nn.functional.cross_entropy(output["scores"], target.flatten(), reduction="none")


class Upside(Error):
    def forward(self, output, target):
        return -super().forward(output, target)


class Logarithm(Error):
    def forward(self, output, target):
        shares = output["scores"].softmax(1).gather(1, target.view(-1, 1))
        return -shares.log().mean()


class Demanding(Error):
    def forward(self, output, target):
        return super().forward(output, target) + output["reconstruction"].sum() * 0


def shapes(**changes):
    """A function that reads a sound whole set, but for ``changes``."""
    images = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3)
    names = ["a", "b", "c", "d"]
    sound = {"labels": ["x", "y", "x", "y"], "parts": [], "value_range": (0.0, 255.0)}
    return lambda: WholeSet(**{"images": images, "case_ids": names, **sound, **changes})


def unsteady():
    return shapes(images=np.random.rand(4, 2, 3), value_range=(0.0, 1.0))()


def read_anything(path):
    return from_array(np.zeros((2, 2, 2)), (0.0, 1.0), "anything")


def import_anything(source, out, options, progress):
    return Imported(out / "cohort.csv", 0)


REGISTRIES = {
    "networks": NETWORKS,
    "backbones": BACKBONES,
    "losses": LOSSES,
    "data sources": DATA_SOURCES,
    "image files": READERS,
    "importers": IMPORTERS,
}


def broken(kind: str, part: object, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The checks that ``part`` breaks, each with the reason."""
    name = ".theirs" if kind == "image files" else "theirs"
    monkeypatch.setitem(REGISTRIES[kind], name, part)
    return {r.sentence: r.reason for r in running.check(kind, name) if r.reason}


@pytest.mark.parametrize(
    ("kind", "part"), [("networks", Sound), ("losses", Error), ("data sources", shapes())]
)
def test_a_sound_component_passes(kind, part, monkeypatch) -> None:
    assert broken(kind, part, monkeypatch) == {}


@pytest.mark.parametrize(
    ("kind", "part", "sentence", "reason"),
    [
        ("networks", Unused, "gradient reaches every parameter", "2D: unused.weight: no gradient"),
        ("networks", Batchwise, "depend on the rest of its batch", "2D: Tensor-likes are not"),
        ("networks", Writes, "does not change the image", "2D: the image was written to"),
        ("networks", Untold, "declares score_kind", "expected one of ('logits', 'lengths', 'm"),
        ("networks", Lengthy, "declares score_kind", "lengths: expected 0 to 1, got -"),
        ("networks", Divides, "finite on a black image", "2D: a score is not finite"),
        ("networks", Forgets, "state_dict, loaded into a new one", "Tensor-likes are not"),
        ("networks", Fixed, "torch.export", "2D: "),
        ("networks", Squeezed, "one tensor of scores", "2D: expected [1, 3], got [3]"),
        ("networks", dict, "is built from spatial_dims", "expected a torch.nn.Module"),
        ("backbones", Pyramid, "gives a feature map", "3D: "),
        ("backbones", Detached, "A finite gradient reaches", "2D: RuntimeError: element 0"),
        ("backbones", Flattened, "gives a feature map", "2D: ValueError: "),
        ("losses", PerSample, "one finite number", "logits: expected one number, got shape [4]"),
        ("losses", Upside, "is smaller for right scores", "logits: right, undecided, wrong: got"),
        ("losses", Logarithm, "as sure as they can be", "logits: expected a finite number, got"),
        ("losses", Demanding, "does without a reconstruction", "logits: KeyError: 'reconstruct"),
        ("data sources", dict, "one label, one name", "DataError: data source theirs: expected"),
        ("data sources", unsteady, "same order each time", "the images differ between two"),
        ("data sources", shapes(labels=[0, 1, 0, 1]), "classes, written as text", "got int"),
        ("data sources", shapes(labels=["x"] * 4), "two classes", "or more, got ['x']"),
        ("data sources", shapes(case_ids=["a"] * 4), "WholeSet", "got some of them twice"),
        ("data sources", shapes(value_range=(0.0, 9.0)), "value_range", "the images have 0 to 23"),
        ("data sources", shapes(parts=["train"] * 3 + ["test"]), "Each of its", "no case of x"),
        ("image files", read_anything, "no image is refused", "an empty file: it was read as"),
        ("importers", Importer(import_anything, ""), "one line", "expected one line, got ''"),
        ("importers", Importer(import_anything, "x", ("no",)), "options", "Options, got no"),
        ("importers", Importer(import_anything, "x"), "empty folder", "as if it held cases"),
        (
            "importers",
            Importer(len, "x"),
            "takes source, out, options",
            "read: too many positional",
        ),
    ],
)
def test_a_faulty_component_fails_the_check_that_it_breaks(
    kind, part, sentence, reason, monkeypatch
) -> None:
    found = [why for what, why in broken(kind, part, monkeypatch).items() if sentence in what]
    assert found and reason in found[0], found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plugin", "check", *arguments])


SOURCE = """
import numpy as np
from capsmed.data.whole_sets import WholeSet, register_data_source

def theirs():
    images = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    return WholeSet(images, ["x", "y", "x", {last!r}], [], list("abcd"), (0.0, 255.0))

register_data_source("theirs", theirs)
"""


def test_a_package_that_keeps_the_contracts_ends_with_0(install) -> None:
    install(SOURCE.format(last="y"))
    done = run("Third_Party")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == "1 components, 7 checks, 0 failed"


def test_a_package_that_breaks_one_ends_with_1_and_the_reason(install) -> None:
    install(SOURCE.format(last=4))
    done = run("mine")
    assert done.exit_code == 1
    assert "FAIL" in done.output and "labels: expected str, got int" in done.output


@pytest.mark.parametrize(
    ("code", "name", "message"),
    [
        ("", "third-party", "expected mine (third-party) to register components, got none; call"),
        ("1 / 0", "mine", "the plugin mine (third-party) failed to load: ZeroDivisionError"),
        ("", "third-partie", "got 'third-partie'; did you mean 'third-party'?"),
    ],
)
def test_a_package_that_cannot_be_checked_is_told(install, code, name, message) -> None:
    install(code)
    done = run(name)
    assert done.exit_code == 1
    assert message in done.output


def test_without_plugins_the_check_says_how_one_is_declared(monkeypatch) -> None:
    monkeypatch.setattr(plugins.loading, "GROUP", "capsmed.no_plugins")
    assert "(there is none), got 'theirs'; a package declares an entry" in run("theirs").output
