"""How one talks to the agent: HTTP/JSON on a unix socket, root only.

schema  requests and responses as pydantic models, the error table: one truth for server and OpenAPI
server  the FastAPI application over an agent
client  the same requests for the CLI, with the standard library alone (it must start fast)

May import: schema and client: model, errors; server: agent too.
"""
