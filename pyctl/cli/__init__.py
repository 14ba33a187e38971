"""The segctl command: one module per noun, loaded when its command is called.

main   the group, lazy loading, errors → exit codes     attach    attach, detach
agent  agent run, status, stop, log-level               workload  list, show, mode, rules
policy policy apply, get, test …                        events, flows, names, top
threats, sensors                    maps   dump-maps
doctor engine                       shared    options, tables, start of an agent

In: words of a shell. Out: text or JSON on stdout, one message on stderr, an exit code (0 done,
1 failed, 2 wrong usage, 3 nothing such, 4 not permitted or not capable).
May import: api.client, model, errors; others only inside commands, and lazily.
"""
