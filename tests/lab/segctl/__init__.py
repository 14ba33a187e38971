"""The processes of segctl: each an instance of its own, of which nothing is left at the end.

agent   `segctl agent run`, and its command line
engine  an engine in an enforcer's namespace, and a tap that plays the datapath
dp      the documents' demo, wired by hand, and its client of the dp protocol

In: namespaces of net, options. Out: processes that are ended, their answers and logs.
"""
