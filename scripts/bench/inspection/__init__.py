"""What inspection costs: ./scripts/bench-inspect.

    figures     from runs to rows, each with what it must reach, and the chart
    handshakes  how many packets of an allowed TLS connection the engine sees

In: options of a command line. Out: a table, JSON and a chart in bench-results/. I/O: as scripts.bench.
"""
