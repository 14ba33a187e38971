"""The engine's own process: `python -m pyctl.engine`.

engine    the C engine, by cffi     server  the agent's socket
requests  what may be asked         log     its log

In: requests on a socket, frames on the rings. Out: verdicts. May import engine, abi, model, errors.
"""
