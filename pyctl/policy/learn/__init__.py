"""Recorded flows → a policy that allows them.

rules         flows → rules                    text   as a document
learn_filter  which flows are worth a rule     ports  services as a rule writes them
replica_groups  workloads that are copies of one thing

In: Observed flows. Out: a document. May import policy.document, policy.evaluate.
"""
