"""Task functions that trials' processes can import by name, one for each way a trial can end."""

import atexit
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna

import sweeper


def returns(cfg):
    print("trained on", cfg.x)
    sweeper.log({"loss": cfg.x / 2}, step=0)
    return cfg.x**2


def raises(cfg):
    raise ValueError("learning rate too high")


def exits(cfg):
    sys.exit(3)


def vanishes(cfg):
    sweeper.log({"loss": 1.0}, step=0)
    os._exit(7)


def vanishes_well(cfg):
    os._exit(0)


def segfaults(cfg):
    ctypes.string_at(0)


def aborts(cfg):
    os.abort()


def is_terminated(cfg):
    os.kill(os.getpid(), signal.SIGTERM)


def logs_and_is_killed(cfg):
    for step in range(3000):
        sweeper.log({"loss": step / 2}, step=step)
    os.kill(os.getpid(), signal.SIGKILL)


def is_killed(cfg):
    os.kill(os.getpid(), signal.SIGKILL)


class Abort(BaseException):
    pass


class Mute(Exception):
    def __str__(self):
        raise RuntimeError


class Hostile:
    """What claims to be a scalar and is none."""

    shape = ()

    def item(self):
        raise OSError("gone")


class OutOfMemoryError(RuntimeError):
    """Named as torch's is."""


def raises_a_base_exception(cfg):
    raise Abort("no more")


def raises_without_text(cfg):
    raise Mute


def raises_what_cannot_be_pickled(cfg):
    raise RuntimeError(threading.Lock(), lambda: None)


def recurses(cfg):
    return recurses(cfg)


def exits_well(cfg):
    sys.exit(0)


def interrupts(cfg):
    raise KeyboardInterrupt


def returns_nan(cfg):
    return float("nan")


def returns_a_string(cfg):
    return "3.5"


def returns_a_complex_number(cfg):
    return 1j


def returns_a_huge_integer(cfg):
    return 10**5000


def returns_what_cannot_be_pickled(cfg):
    return lambda: 1.0


def returns_what_cannot_be_read(cfg):
    return Hostile()


def returns_two(cfg):
    return 1.0, 2.0


def returns_a_mapping(cfg):
    return {"acc": 0.9, "parameters": 10**400}


def returns_infinity(cfg):
    return float("inf")


def returns_minus_infinity(cfg):
    return float("-inf")


def runs_out_of_cuda_memory(cfg):
    raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def wraps_out_of_memory(cfg):
    try:
        runs_out_of_cuda_memory(cfg)
    except RuntimeError as error:
        raise RuntimeError("the step failed") from error


def closes_its_output(cfg):
    sys.stdout.close()
    sys.stderr.close()
    sweeper.log({"loss": "not a number"})
    return 1.0


def closes_every_file(cfg):
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    sweeper.log({"loss": 1.0})
    return 1.0


def leaves_a_thread(cfg):
    threading.Thread(target=time.sleep, args=(600,)).start()
    return 1.0


def saves_in_a_thread(cfg):
    threading.Timer(0.2, lambda: print("saved")).start()
    return 1.0


def hangs_at_exit(cfg):
    atexit.register(time.sleep, 600)
    return 1.0


def sleeps(cfg):
    time.sleep(600)


def prints_for_a_second(cfg):
    for i in range(10):
        print("print", i)
        time.sleep(0.1)
    return 1.0


def ignores_being_told(cfg):
    signal.signal(signal.SIGTERM, lambda *_: print("told to end"))
    while True:
        time.sleep(600)


def raises_when_told(cfg):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    time.sleep(600)


def returns_when_told(cfg):
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    told.wait()
    return 0.5


def replaces_its_signals(cfg):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o777)
    os.chdir("/")
    os.environ.clear()
    return 1.0


def ends(cfg):
    """As the config says: one app for every end."""
    return globals()[cfg.end](cfg)


def returns_nothing(cfg):
    pass


def takes_all_memory_if_x(cfg):
    held = []
    while cfg.x:
        held.append(bytearray(8 << 20))
    return 0.0


def runs_out_of_memory(cfg):
    raise MemoryError("no room for 12 GiB")


def prunes(cfg):
    raise optuna.TrialPruned


def asks_the_pruner(cfg):
    for step in range(10):
        sweeper.report(float(step), step=step)
        if sweeper.should_prune():
            raise optuna.TrialPruned
    return 9.0


def waits(cfg):
    Path(cfg.signal).write_text("running")
    time.sleep(600)


def logs_and_waits(cfg):
    """Many points within one ring of the bell, and no sign of life after them."""
    for step in range(500):
        sweeper.log({"loss": step / 2}, step)
    while not Path(cfg.signal).exists():
        time.sleep(0.01)
    return 0.0


LEAKED = "import time; time.sleep(600)"


def leaks(cfg):
    """A child, one in a session of its own, one whose parent has gone, and one that was forked only, all alive."""
    plain = subprocess.Popen([sys.executable, "-c", LEAKED])
    session = subprocess.Popen([sys.executable, "-c", LEAKED], start_new_session=True)
    daemon = subprocess.run(
        ["sh", "-c", f"setsid {sys.executable} -c '{LEAKED}' > /dev/null & echo $!"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    forked = os.fork()
    if forked == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    Path(cfg.signal).write_text(f"{plain.pid} {session.pid} {int(daemon.stdout)} {forked}")
    return 0.0


def leaks_and_waits(cfg):
    leaks(cfg)
    time.sleep(600)


def fills_the_disk(cfg):
    """From the second point on the kernel refuses every write of this process to a file."""
    sweeper.log({"loss": 1.0}, step=0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sweeper.log({"loss": 0.5}, step=1)
    return 0.5


def prints_a_million_lines(cfg):
    for i in range(1_000_000):
        print("line", i)
    return 0.0


def counts_checkpoints(cfg):
    folder = sweeper.checkpoint_dir()
    found = len(list(folder.iterdir()))
    (folder / f"epoch-{found}").write_text("weights")
    if found < 2:
        os._exit(1)
    return float(found)


def tells_identity(cfg):
    return float(os.environ["SWEEPER_TRIAL"])


def logs_until_told(cfg):
    """A point every few milliseconds, each with its checkpoint, until the file `until` is there."""
    step = 0
    while not Path(cfg.until).exists():
        with (sweeper.checkpoint_dir() / "steps").open("a") as file:
            file.write(f"{os.environ['SWEEPER_ATTEMPT']}\n")
        sweeper.log({"step": step}, step=step)
        step += 1
        time.sleep(0.02)
    return float(step)
