"""What commands share: options, tables and JSON, times, following, one agent started in the background.

options  several commands' options      render  tables, facts, JSON     since   times as a user says them
follow   --follow    start  an agent in the background    once  an option given twice is an error
cpu_time  of a process and its children

In: words of a shell, answers of the agent. Out: text. May import api.client, free_space, signal_shield,
model, errors.
"""
