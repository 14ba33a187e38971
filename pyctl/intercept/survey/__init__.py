"""Reading before anything is touched: which interfaces, what hangs on them, what a splice would cost.

select     which interfaces are spliced     peer      where their other ends are
obstacles  what forbids it                  costs     what would be lost, and hurt
segments   the bridges they are on

In: a process, a namespace. Out: values, sentences. May import intercept.kinds, intercept.restore, platform.
"""
