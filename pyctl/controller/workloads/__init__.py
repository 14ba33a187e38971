"""Procedures of single workloads, run by the loop (controller.loop), one at a time.

attach      all of its interfaces, or none     attach_target  whom a request means
detach      its interfaces given back          release        the same, of many side by side
succession  who goes on when its process ends  given          which addresses are its own
in_netns    whose a namespace is               uninspected    what it has beside its ports

In: requests, Context. Out: the registry and the kernel changed. May import what controller may.
"""
