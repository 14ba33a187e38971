"""Real servers and their clients, as Debian ships them.

    table     which there are: application, port, how each is started, and what its client does
    counting  payload that reaches a namespace, by port

In: a namespace, a directory. Out: processes that end with the namespace; whether a client's work was done.
"""
