"""Memory that a step frees stays with the process where glibc can be told so."""

import platform
import subprocess
import sys

import pytest

from capsmed.engines import allocator

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
FAULTS_OF_STEPS = """
import resource
from capsmed.engines import allocator

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        arrays = [b"1" * (size * 2**20) for size in (12, 25, 33, 20)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
default = faults()
with allocator.freed_memory_kept() as possible:
    faults()
    print(int(possible), faults(), default)
"""


@glibc
def test_a_freed_array_is_used_again_without_asking_the_system():
    done = subprocess.run(  # this process may have been told already
        [sys.executable, "-c", FAULTS_OF_STEPS], capture_output=True, text=True, check=True
    )
    possible, kept, default = map(int, done.stdout.split())
    assert possible
    assert kept < default / 4


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocator.keep_freed_memory()
