"""Requests and responses as pydantic models, a module per noun: one truth for server and OpenAPI.

workloads  attach, detach, list, show, policy   containers  all of a host
history    flows, events    hits  of rules       learning    learned, simulate
question   policy test      impact  of a policy  revision    policy log
node       status, log level, stop
identity   addresses, claims                     findings   names that were looked up, threats
base       what all models share

In: plain values. Out: validated models. May import model, errors.
"""
