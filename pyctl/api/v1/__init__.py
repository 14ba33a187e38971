"""The routes of version 1, a module per noun, and the views that make answers of model values.

workloads   attach, detach …    policy    in force      node    status, log level, stop
containers  of a host        history   flows, events     hits, impact  of rules, of a policy
learning    learned, simulate   question  policy test   revision      policy log
metrics     Prometheus       views     model values → answers

In: an Agent, requests. Out: answers of api.schema. May import api.schema, agent and below.
"""
