"""What changes by itself, seen on file descriptors; each change becomes a procedure of the controller.

watch         who looks at what: descriptors, and the loop that looks
poller        waiting on thousands of descriptors
workloads     processes that end, addresses that change  hotplug     interfaces that come later
host_sides    the host's ends of all ports               segments    the host's bridges
filters       those that other programs change            detour      the pair through the engine
engine_watch  engines that die, events to fetch          runtime_watch  containers as they start
auto_attach   which of these are attached

In: descriptors of kernel and runtimes. Out: calls into controller. May import controller and below.
"""
