"""The splice: our veth takes the place of a workload's interface, and gives it back.

attach, detach: one interface. select: which ones. enforcer: the mute namespace that the
ports live in. recover: what a killed process left half done. Inside: snapshot (what is
kept), plan (pure: the steps and their inverses), ops (what a step does), apply (runs a
plan under a journal), names.

In: model.ProcessRef, model.Port, model.Instance. Out: model.Port. May import
pyctl.platform, pyctl.model, pyctl.errors; it never imports the datapath, which is
called through `ports_ready`.
"""
