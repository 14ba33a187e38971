"""The one place that changes anything: what is desired, made to hold in engine and kernel.

context        what all procedures share: the registry, the policy, the steering
workloads      procedures of one workload: attach, detach, and who goes on in its place
commit_policy  a policy in the place of another, on every workload or on none
commit_order   the order in which a change reaches kernel and engine, so that none opens a hole
steering       what engine and drivers were last told, and each call that tells them more
segments       which bridge a port is on
recovery       what an earlier agent left half done, what was refused
loop           the one thread that does all of it      view  what readers see

In: requests, what observers saw. Out: state, kernel and engine changed, events. May import state,
telemetry, engine, datapath, intercept, policy, runtime, platform; never observe, agent or api.
"""
