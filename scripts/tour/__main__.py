"""Both acts. A step that does not see what it should ends the demo with exit code 1."""

from __future__ import annotations

import signal
import sys
import time

from scripts.tour.attach import first_act
from scripts.tour.policy import second_act
from scripts.tour.story import paint
from tests.lab.pace import LabError


def main() -> None:
    started = time.monotonic()
    # A closed terminal and `kill` clean up as ^C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        first_act()
        second_act()
    except KeyboardInterrupt:
        print("\n  interrupted; everything is removed", flush=True)
        raise SystemExit(130) from None
    except LabError as error:
        raise SystemExit(str(error)) from error
    print(
        f"\n{paint('1;32', 'All seen.')} {time.monotonic() - started:.0f} s", flush=True
    )


if __name__ == "__main__":
    main()
