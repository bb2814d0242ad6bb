"""The command line: parse, run, exit status."""
import contextlib
import errno
import os
import shlex
import sys
import traceback
from typing import NoReturn

from training.commands import errors, parser
from training.runtime import launch, process, signals


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0; 2 for a user's mistake or what the machine lacks; 130 for Ctrl-C, 143 for SIGTERM, 129 for
    a closed terminal.
    """
    process.open_streams()
    process.draw_into_files()
    argv = sys.argv[1:] if argv is None else argv
    args = parser.parser().parse_args(argv)
    args.command_line = os.environ.get(launch.COMMAND) or shlex.join(
        ['python', '-m', 'training', *(word for word in argv if word != '--fresh')])
    try:
        with signals.handled(signals.at_once):
            args.command(args)
            sys.stdout.flush()  # what cannot be written shows here
    except KeyboardInterrupt as error:
        with contextlib.suppress(OSError):  # of a terminal that was closed
            print(error or 'interrupted', file=sys.stderr)
        return getattr(error, 'status', 130)
    except BrokenPipeError:  # as `list | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + errno.EPIPE
    except Exception as error:
        if not errors.is_users(error):
            raise
        if hasattr(args, 'results_root'):
            errors.add_place(error, args.results_root)
        print(f'error: {errors.one_line(error)}', file=sys.stderr)
        return 2
    return 0


def _main_in_a_job() -> int:
    """Run one command; if it fails, end here: MXNet would wait for the rest of the job."""
    try:
        status = main()
    except Exception:
        traceback.print_exc()
        status = 1
    if status:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
    return status


def run() -> NoReturn:
    """Run one command as a program of its own, and exit."""
    status = _main_in_a_job() if launch.ROLE in os.environ else main()
    # What was said is the last of it: MXNet's CUDA build has words of its own for the end
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(status)


if __name__ == '__main__':
    run()
