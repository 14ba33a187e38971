"""Shipped sets that find attacks on web applications.

sql_injection   path_traversal   command_injection   log4shell   shellshock   xss

A target is looked at as it was sent and decoded. Of bodies, whatever a program may rightly send as it is (scripts, dumps,
pages) is no attack: what is found there is the value of a form's field, or of JSON.

In and out: patterns. No I/O. May import model.sensors' sensor and parts.
"""
