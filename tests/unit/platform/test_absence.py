"""Only the kernel's word that something is gone counts as that."""

from __future__ import annotations

import errno

import pytest

from pyctl.platform.absence import raise_if_blind


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_who_could_not_look_says_so(code: int) -> None:
    with pytest.raises(OSError, match="gone blind"):
        raise_if_blind(OSError(code, "gone blind"))


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ESRCH, errno.EACCES])
def test_an_answer_is_an_answer(code: int) -> None:
    raise_if_blind(OSError(code, "told"))
