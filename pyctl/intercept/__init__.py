"""The splice: our veth takes the place of a workload's interface, and gives it back.

attach, detach: one interface. select: which ones. enforcer: the mute namespace that the
ports live in. presence: what stands there now. recover: what a killed process left half
done. Inside: snapshot (what is kept), plan (pure: the steps and their inverses), ops and
refill and master (what a step does), apply (runs a plan under a journal), names, peer.

In: model.ProcessRef, model.Port, model.Instance. Out: model.Port. May import
pyctl.platform, pyctl.model, pyctl.errors; it never imports the datapath, which is
called through `ports_ready`.
"""
