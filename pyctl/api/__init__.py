"""How one talks to the agent: HTTP/JSON on a unix socket, root only.

schema  requests and responses as models     v1      the routes, a module per noun
server  the application: errors, routes      peer    who asks
client  the same requests for the CLI, with the standard library alone (it must start fast)
wrong   errors as answers                    scrape  metrics over TCP

In: HTTP requests, an Agent. Out: answers in JSON, metrics as text.
May import: schema and client: model, errors; server and v1: agent too.
"""
