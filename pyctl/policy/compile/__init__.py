"""From a Policy and the attached workloads to what the engine is given.

compiler   rules by groups, and who is in which     affected_ports  whose verdicts a step can touch
claims     addresses that workloads gave themselves  effective      the policy with all they declare
diff       two policies in sentences          conditions     what rules ask besides applications

In: Policy, workloads. Out: Compiled. May import policy.document.
"""
