"""The segctl command: one module per noun, loaded when its command is called.

main     the group, lazy loading, errors → exit codes     attach     attach, detach
options  options that several commands share              workload   list, show, mode, rules
render   tables, facts, JSON                              policy     policy apply, get
start    an agent in the background                       events     events
agent    agent run, status, stop, log-level               doctor     doctor
maps     dump-maps                                        engine     engine

In: words of a shell. Out: text or JSON on stdout, one message on stderr, an exit code (0 done,
1 failed, 2 wrong usage, 3 nothing such, 4 not permitted or not capable).
May import: api.client, model, errors; agent, engine, platform and datapath only inside the
commands agent, engine, doctor, dump-maps, and lazily.
"""
