"""Memory that a step frees stays with the process where glibc can be told so."""

import platform
import resource

import pytest
import torch

from capsmed.engines import allocator

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


def faults_of_steps() -> int:
    """Page faults of ten steps that make and drop some arrays, after one that made them before."""
    for steps in (1, 10):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(steps):
            _ = [torch.ones(megabytes * 2**18) for megabytes in (12, 25, 33, 20)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@glibc
def test_a_freed_array_is_used_again_without_asking_the_system():
    with allocator.freed_memory_kept(False):
        default = faults_of_steps()
    with allocator.freed_memory_kept() as possible:
        kept = faults_of_steps()
    assert possible
    assert kept < default / 4


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocator.keep_freed_memory()
