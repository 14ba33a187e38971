"""The classic datapath: u32, pedit and mirred, planned by fallback_tc.

driver   the Driver          session  reads and changes filters      plan   what should stand
counters what was counted    state    what is remembered             probe  whether this kernel can

In: port pairs. Out: filters. May import datapath, fallback_tc, platform, abi.
"""
