"""From what was measured to what is shown.

    rows       runs → figures with what they must reach     report  tables, the JSON, the machine
    paths      the figures of bench-paths                   chart   bars and lines of what was compared
    datapaths  the figures of compare-datapaths

In: runs as plain values. Out: rows, verdicts, text, files in bench-results/. I/O: report and chart alone.
"""
