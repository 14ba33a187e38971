"""Which super-frames pass the engine whole."""

from __future__ import annotations

import pytest

from pyctl.intercept.gso import is_inexpressible, kernel_version


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("6.1.0-50-cloud-amd64", (6, 1)),
        ("6.18.44", (6, 18)),
        ("6.2-rc1", (6, 2)),
        ("x", (0, 0)),
    ],
)
def test_a_release_begins_with_the_version(release, version):
    assert kernel_version(release) == version


@pytest.mark.parametrize(
    "feature",
    [
        "tx-udp_tnl-segmentation",
        "tx-udp_tnl-csum-segmentation",
        "tx-gre-segmentation",
        "tx-gre-csum-segmentation",
        "tx-ipxip4-segmentation",
        "tx-ipxip6-segmentation",
        "tx-sctp-segmentation",
        "tx-checksum-sctp",
        "tx-gso-list",
        "tx-of-a-kernel-to-come-segmentation",
    ],
)
def test_what_the_header_has_no_word_for_is_cut_before(feature):
    assert is_inexpressible(feature, (6, 18))


@pytest.mark.parametrize(
    "feature",
    [
        "tx-tcp-segmentation",
        "tx-tcp6-segmentation",
        "tx-tcp-ecn-segmentation",
        "tx-generic-segmentation",
        "tx-checksum-ip-generic",
        "tx-scatter-gather",
        "rx-gro",
    ],
)
def test_what_it_can_say_stays(feature):
    assert not is_inexpressible(feature, (6, 1))


def test_udps_super_frames_have_a_word_since_6_2():
    assert is_inexpressible("tx-udp-segmentation", (6, 1))
    assert not is_inexpressible("tx-udp-segmentation", (6, 2))
