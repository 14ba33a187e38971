"""What the recognisers say of captures, beside what nDPI says: ./scripts/bench-corpus DIR.

    captures      packets of a capture, as payload of TCP and UDP with the two ends
    flows         the first bytes of both sides in order, and what is said of them as they come
    expectations  the protocols that nDPI's results name for each flow
    timing        what a call costs
    replay        a capture through an engine's core: what of it crosses
    evasions      cases of suricata-verify that are about evasion

In: a directory with captures, and nDPI's results beside them. Out: a table; on demand each flow that is not right.
Captures stay where they are: none belongs to this repository. Nothing here may import the agent.
"""
