"""What needs --force, and what is only told."""

from __future__ import annotations

import pytest

from pyctl.errors import RefusedError
from pyctl.intercept.survey.costs import Cost, refuse_costs
from tests.unit.intercept.conftest import ETH0

SHORT = Cost("sessions may end")
LONG = Cost("it is silent for 8 s", seconds=8.0)
LOSS = Cost("9 routes are lost", loses=True)


def test_what_is_short_is_told() -> None:
    assert refuse_costs(ETH0, [SHORT], force=False) == ("sessions may end",)


@pytest.mark.parametrize("heavy", [LONG, LOSS])
def test_a_long_cut_or_a_loss_is_borne_only_by_who_says_so(heavy: Cost) -> None:
    with pytest.raises(RefusedError, match=heavy.what) as caught:
        refuse_costs(ETH0, [SHORT, heavy], force=False)
    assert "--force" in caught.value.advice
    assert refuse_costs(ETH0, [SHORT, heavy], force=True) == (SHORT.what, heavy.what)
