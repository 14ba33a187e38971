"""The agent of one node: the one object that API and daemon hold.

agent      start, stop, attach, detach, mode, policy     config  what an operator set
inventory  all containers, attached or not                policies  the policy, another in its place

In: requests as plain values (api.server, or any caller). Out: model types. May import every package
but api and cli.
"""
