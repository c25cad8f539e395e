"""What does not fit into memory ends with one line."""

import pytest

from capsmed.engines.shortage import memory_told, one_line, shortage
from capsmed.engines.train import train
from capsmed.errors import ConfigError
from tests.engines.blobs import tiny


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (RuntimeError("can't allocate memory: you tried to allocate 2147483648 bytes."), "2.0 GiB"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has"), "2.5 GiB"),
        (MemoryError("Unable to allocate 7.45 GiB for an array with shape (1,)"), "7.5 GiB"),
        (MemoryError(), "more than there is"),
        (RuntimeError("Overflow when unpacking long long\nframe #0"), "more than can be counted"),
        (RuntimeError("value cannot be converted to type float without overflow"), None),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), None),
    ],
)  # fmt: skip
def test_a_lack_of_memory_is_told_from_other_errors(error, wanted):
    assert shortage(error) in (wanted, f"{wanted} at once")


def test_other_errors_keep_their_first_line_and_their_kind():
    assert one_line(ValueError("first\nsecond")) == "first"
    with pytest.raises(RuntimeError, match="shapes"), memory_told(tiny("demo")):
        raise RuntimeError("shapes differ")


@pytest.mark.parametrize("size", [10_000_000, 10**12])
def test_an_absurd_patch_is_refused_in_one_line_before_data_are_read(tmp_path, size):
    experiment = tiny("no_such.csv", patch={"size": [size, size]})
    with pytest.raises(ConfigError, match="expected what fits into memory, got a need of") as told:
        train(experiment, base=tmp_path, out=tmp_path / "run")
    assert "\n" not in str(told.value) and "make patch.size" in str(told.value)


def test_what_does_not_fit_later_names_the_patch_and_the_batch():
    with pytest.raises(ConfigError, match=r"patch\.size \(12 x 12\), training\.batch_size \(4\): "):
        with memory_told(tiny("demo")):
            raise MemoryError
