"""`python -m sweeper.run FD`: the zygote of one slot; started by `sweeper.run.host`, not by people."""

import sys

from sweeper.run.zygote import main

main(int(sys.argv[1]))
