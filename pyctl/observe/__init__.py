"""What changes by itself, seen on file descriptors; each change becomes a procedure of the controller.

watch         processes that end, addresses that change, filters that strangers touch
hotplug       interfaces that a workload gets later      host_sides  the host's ends of all ports
segments      the host's bridges                         detour      the pair through the engine
engine_watch  engines that die, events to fetch          runtime_watch  containers as they start
auto_attach   which of these are attached                resync      what was refused, tried again
poller        waiting on thousands of descriptors        rounds      a thread's few things, over and over

In: descriptors of kernel and runtimes. Out: calls into controller. May import controller and below.
"""
