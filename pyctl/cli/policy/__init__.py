"""`segctl policy`: one module per command; group is the command that holds them.

group  the command, with apply, get    test, simulate  tried out      hits     of rules
learned  a policy from flows    import_  NetworkPolicies    log  revisions    schema  of the document

In: words of a shell. Out: text or JSON. May import cli.shared, api.client, model, errors; policy and platform lazily.
"""
