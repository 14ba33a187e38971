"""The demo's story: ./scripts/demo. Every step runs the real program and prints what it saw.

    attach    the first act: two containers attached, inspected, allowed, denied and given back
    policy    the second: web → app → db learned, enforced, and broken into in vain
    boxes     the first act's containers, by the best means that a host has
    story     how the acts tell what they do, and how they check it

In: what the host has. Out: lines on the terminal, and an exit code. What it happens in is the test bed of the tests, tests/lab.
"""
