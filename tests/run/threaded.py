"""An app that starts a thread when it is imported."""

import threading
import time

_watcher = threading.Thread(target=time.sleep, args=(3600,), name="watcher", daemon=True)
_watcher.start()


def returns_its_parents_threads(cfg):
    """How many threads there are besides the one that runs the task."""
    return float(threading.active_count() - 1)
