"""The order in which a change reaches kernel and engine, so that no moment opens a hole.

In: what was compiled from policy and workloads. Out: driver and engine calls, through the steering. I/O: theirs.

1. The kernel's pairs, quarantine first: it and the fail policy take effect by a map write, and in a mode
   that holds packets the engine's next verdict counts.
2. The engine takes rules, members and policies, between two packets, under new generations.
3. The generations are published: the kernel's entries of older ones do not count any more.
4. Programs that read an older generation end, and the frames that they sent to the engine are judged.

A new port has its policy first, its filters second, and its links up last: Steering.prepare and add, then the
splice. One that changes its datapath is in Steering.move.
"""

from __future__ import annotations

from pyctl.controller.steering import Steering
from pyctl.platform.bpf.grace import wait_for_programs
from pyctl.policy.compile.compiler import Compiled, difference


def commit_in_order(steering: Steering, compiled: Compiled) -> int:
    """Apply rules, members, policies and pairs; return how many ports get other verdicts. On return,
    nothing old judges or carries packets of these ports. A driver's refusal is raised when the engine has its part.
    """
    where = difference(steering.applied, compiled)
    failed = steering.update_pairs(compiled, where.ports)
    steering.write_owners(compiled)
    changed = steering.changes(compiled)
    steering.tell_engine(compiled, changed, where)
    if failed is not None:
        steering.publish()
        raise failed
    if changed:
        steering.publish()
        wait_for_programs()
        steering.drain_engine()
    return len(changed)
