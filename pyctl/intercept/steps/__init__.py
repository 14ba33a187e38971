"""A splice as steps with inverses, run under a journal.

plan  which steps (pure)     ops  what a step does     apply  all of them, or back     journal  on disk

In: a Snapshot. Out: the kernel changed, or as it was. May import intercept.kinds, intercept.restore, intercept.names, platform.
"""
