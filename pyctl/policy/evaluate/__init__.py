"""What a policy says of a packet, a recorded flow or an open one; independent of the compiler.

explain   the rule that decides, rules read one by one     question  `policy test`
observed  a recorded flow as policy looks at it            replay    explain, for many flows
judge     and by the modes of all ends                     simulate  recorded flows under another policy
impact    open flows whose verdict a policy changes        applications  what rules say of them
facts     what rules ask of a flow besides
looked_up  groups of DNS names

In: Policy, flows. Out: verdicts with their reasons. May import policy.document, policy.compile.
"""
