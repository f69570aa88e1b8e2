"""Processes of a slot; started by `sweeper.run.host` and the zygote, not by people.

`python -m sweeper.run zygote FD ISOLATION` and `python -m sweeper.run trial BELL PAYLOAD STACKS PARENT`.
"""

import sys

role, *arguments = sys.argv[1:]
if role == "zygote":
    from sweeper.run.zygote import main

    main(int(arguments[0]), arguments[1])
else:
    from sweeper.run import child

    child.main(*map(int, arguments))
