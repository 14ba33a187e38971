"""Steering in the kernel: one driver contract (`base.Driver`), one module for each driver.

In: `model.PortPair`. Out: filters and maps in the kernel. May import platform, abi, model, errors
and fallback_tc; never policy, intercept or engine.
"""
