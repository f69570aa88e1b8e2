"""Several sweeps on one cluster: who may hold what. Pure arithmetic: it knows no Ray and no clock.

A driver *claims*: what its sweep holds and could use. It is *granted* a part of each node. `level` says what would be
fair if GPUs could be divided at will, `balance` remembers who had more or less than that, `fill` turns it into slots on
nodes, and `book` has it all for the sweeps that live.
"""
