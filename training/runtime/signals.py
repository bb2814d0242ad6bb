"""Ctrl-C, SIGTERM and a closed terminal: first finish what is under way, then stop."""
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from training.runtime.launch import ROLE

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """Asked to stop by a signal; `status` is the exit status that says which.

    message: for the user, with how to go on, if there is a way.
    """

    def __init__(self, signum: int, message: str | None = None):
        super().__init__(message or 'interrupted')
        self.signum, self.status, self.says_how = signum, 128 + signum, message is not None


@contextmanager
def handled(handler: Callable) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP call handler(signum, frame) within; nohup's SIGHUP never."""
    if ROLE in os.environ or threading.current_thread() is not threading.main_thread():
        # Of a job's process MXNet may wait in C++ for others, who have gone; and Python gives
        # signals to the main thread only
        yield
        return
    before = {signum: signal.signal(signum, handler) for signum in SIGNALS
              if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN}
    try:
        yield
    finally:
        for signum, old in before.items():
            signal.signal(signum, old)


def at_once(signum: int, frame) -> None:
    """Stop here: a handler of signals."""
    raise Stopped(signum)


@contextmanager
def deferred() -> Iterator[Callable[[], int | None]]:
    """Let a first signal within wait to be asked for, and a second end the process at once.

    Gives a function that returns the signal that came, or None. What nobody asked for in the
    end is raised then, as Stopped.
    """
    came = []

    def note(signum, frame):
        if came:
            os._exit(128 + signum)
        came.append(signum)
        with suppress(OSError):  # the terminal may be gone. Not print: this may interrupt one
            os.write(2, b'\nstopping after this batch, with a checkpoint; again: stop at once\n')

    with handled(note):
        yield lambda: came[0] if came else None
    if came:
        raise Stopped(came[0])
