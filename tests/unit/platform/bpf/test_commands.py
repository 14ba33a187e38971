"""The bpf(2) layer where no kernel is asked: errors, sizes, per-CPU values."""

from __future__ import annotations

import errno

import pytest

from pyctl.errors import NotCapableError, NotFoundError, NotPermittedError, SegctlError
from pyctl.platform.bpf import commands as bpf


def offline(layout):
    """A Map without a descriptor."""
    found = bpf.Map.__new__(bpf.Map)
    found.fd, found.name, found.layout = -1, "seg_test", layout
    found._percpu = layout.map_type == bpf.BPF_MAP_TYPE_PERCPU_HASH
    found._value_bytes = layout.value_size
    return found


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EPERM, NotPermittedError),
        (errno.EACCES, NotPermittedError),
        (errno.ENOENT, NotFoundError),
        (errno.ENOSYS, NotCapableError),
        (errno.E2BIG, SegctlError),
    ],
)
def test_errors_carry_their_number_and_kind(number, kind):
    error = bpf._error("writing the map x", number)
    assert type(error) is kind
    assert error.errno == number
    assert "writing the map x" in str(error)


def test_a_key_of_another_size_never_reaches_the_kernel():
    hashed = offline(bpf.MapLayout(bpf.BPF_MAP_TYPE_HASH, 4, 8, 16))
    with pytest.raises(SegctlError, match="4 bytes"):
        hashed.lookup(b"abc")
    with pytest.raises(SegctlError, match="8 bytes"):
        hashed.update(b"abcd", b"short")


def test_per_cpu_values_are_padded_to_eight_bytes():
    percpu = offline(bpf.MapLayout(bpf.BPF_MAP_TYPE_PERCPU_HASH, 4, 5, 16))
    assert percpu.slot_bytes == 8
    assert percpu.split(b"aaaaa\0\0\0bbbbb\0\0\0") == [b"aaaaa", b"bbbbb"]


def test_possible_cpus_is_at_least_one():
    assert bpf.possible_cpus() >= 1


def test_closing_twice_is_fine():
    descriptor = bpf.Descriptor(-1)
    descriptor.close()
    descriptor.close()


def test_keys_are_found_by_their_head_wherever_it_stands():
    """Not where its first byte is within a key, nor where only that is the same."""
    hashed = offline(bpf.MapLayout(bpf.BPF_MAP_TYPE_HASH, 4, 1, 16))
    batches = [(b"abcdaacdxabx", b"..."), (b"ab12", b".")]
    hashed._batches = lambda: iter(batches)
    assert hashed.keys_from(b"ab") == [b"abcd", b"ab12"]
    assert hashed.keys_from(b"zz") == []


def test_keys_are_found_where_the_kernel_gives_no_batches():
    hashed = offline(bpf.MapLayout(bpf.BPF_MAP_TYPE_HASH, 4, 1, 16))

    def refused():
        raise bpf._error("listing", errno.EINVAL)
        yield

    hashed._batches = refused
    hashed._items_one_by_one = lambda: iter([(b"abcd", b"."), (b"xbcd", b".")])
    assert hashed.keys_from(b"ab") == [b"abcd"]
