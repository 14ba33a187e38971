"""The classic datapath as data: what u32, pedit and mirred must do for a pair of ports, no doing.

    rules    Rule and its parts, as frozen values; `normal`: the form in which a kernel keeps one
    plan     Pair, Steering, Options → the rules of the pair, and those of the bridge
    render   rules → `tc` command lines
    netlink  rules → rtnetlink message bodies
    dump     a dump's messages → rules with their handles
    drift    rules asked for, rules held → what is missing, what is too much

In: names, MACs, prefs, text, bytes. Out: values. I/O: none, but for `python -m fallback_tc`, which
prints. Imports the standard library alone; of our packages only `pyctl.datapath` may import it.
"""
