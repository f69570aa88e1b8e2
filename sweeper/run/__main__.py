"""Processes of a slot; started by `sweeper.run.host` and the supervisor, not by people.

`python -m sweeper.run supervisor FD ISOLATION` and `python -m sweeper.run trial BELL PAYLOAD STACKS PARENT`.
"""

import sys

role, *arguments = sys.argv[1:]
if role == "supervisor":
    from sweeper.run import libraries, pages  # noqa: F401 -- it notes which libraries Python itself needs

    pages.reserve()  # before anything else is imported
    from sweeper.run.supervisor import main

    main(int(arguments[0]), arguments[1])
else:
    from sweeper.run import child

    child.main(*map(int, arguments))
