"""A signal while a namespace is being made leaves a whole one, or none: never a file that is neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctl.platform import netns


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_being_made_is_whole_or_nothing(lab, interrupt, fails):
    path = Path("/run/netns/interrupted")

    def prepare() -> None:
        interrupt()
        if fails:
            raise OSError("no room")

    with pytest.raises(KeyboardInterrupt):
        netns.create(path, prepare)
    assert netns.bound(path) is not fails
    assert path.exists() is not fails
    netns.remove(path)
    assert not path.exists()
