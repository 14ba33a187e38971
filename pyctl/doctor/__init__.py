"""What this host can do: `segctl doctor`.

probe  each capability, and what follows for the datapaths

In: nothing. Out: a Report. Tries things in child processes that end. May import errors.
"""
