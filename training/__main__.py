"""The command line: parse, run, exit status."""
import contextlib
import os
import shlex
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from training.commands import errors, parser
from training.runtime import launch, log, process, signals

OF_RUNS = 'strips', 'evaluate', 'explore'  # write into folders of runs, which are nowhere else
CALLED = 'python -m training'  # in READMEs, and in messages until it is known what was typed


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0; 2 for a user's mistake or what the machine lacks; 130 for Ctrl-C, 143 for SIGTERM, 129 for
    a closed terminal, 141 for a reader that goes away.
    """
    process.open_streams()
    process.draw_into_files()
    called = CALLED if argv is not None else _called()
    with contextlib.ExitStack() as printed:
        try:
            with signals.handled(signals.at_once):
                _run(sys.argv[1:] if argv is None else argv, called, printed)
        except KeyboardInterrupt as error:
            _say(str(error) or 'interrupted', called)
            return getattr(error, 'status', 130)
        except BrokenPipeError:  # as `list | head` does
            return 128 + signal.SIGPIPE
        except Exception as error:
            if not errors.is_users(error):
                raise
            _say(f'error: {errors.one_line(error)}', called)
            return 2
    return 0


def _run(argv: list[str], called: str, printed: contextlib.ExitStack) -> None:
    """Run one command; what cannot be written shows here, of --help too.

    printed: closed when all is printed, also why the command failed.
    """
    try:
        args = parser.parser(called=called).parse_args(argv)
    except SystemExit:
        sys.stdout.flush()
        raise
    args.called = called
    args.command_line = os.environ.get(launch.COMMAND) or (
        f'{CALLED} {shlex.join(word for word in argv if word != "--fresh")}')
    try:
        if path := getattr(args, 'log', None):
            printed.enter_context(log.kept(path))
        args.command(args)
        sys.stdout.flush()
    except OSError as error:
        if hasattr(args, 'results_root') and args.name_of_command not in OF_RUNS:
            errors.add_place(error, args.results_root)
        raise


def _called() -> str:
    """Return what starts this command line again from where the user stands.

    That is what was typed, or what `make` typed; the project's `vaegan` where Python was started
    by that, or in another folder than the user's.
    """
    typed = sys.orig_argv[:len(sys.orig_argv) - len(sys.argv) + 1]
    anywhere = Path(sys.executable).with_name('vaegan')
    try:
        stands, works = map(os.path.realpath, (os.environ.get('PWD', os.curdir), os.curdir))
    except FileNotFoundError:  # the folder that the user stands in is gone
        return CALLED
    if anywhere.exists() and ('-m' not in typed or stands != works):
        typed = [str(anywhere)]
    return shlex.join(typed)


def _say(line: str, called: str) -> None:
    with contextlib.suppress(OSError):  # of a terminal or a pipe that was closed
        print(line.replace(CALLED, called), file=sys.stderr)


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
    try:
        status = _main_in_a_job() if launch.ROLE in os.environ else main()
    except SystemExit as stop:  # of the parser
        status = stop.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads it, and Python would fail again as it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    # What was said is the last of it: MXNet's CUDA build has words of its own for the end
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(status)


if __name__ == '__main__':
    run()
