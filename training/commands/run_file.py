"""A run in a TOML file: `run --config` takes it, `run --toml` prints it.

    experiment = "DenseVAE_on_MNIST/5_3_400_bce_50"
    n_latent = 16
"""
import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from training.commands import options
from training.experiments import naming, registry
from training.experiments.row import ExperimentError, Row

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXPERIMENT, NAME = 'experiment', 'name'  # beside the fields of the row


@dataclass(frozen=True)
class RunFile:
    """What such a file says; the user's name of the run, and the experiment, may be missing."""
    path: Path
    experiment: str | None
    own_name: str | None
    fields: dict

    def changed(self, row: Row) -> Row:
        """Return a row with the fields of this file. ExperimentError if it has no such ones."""
        try:
            return registry.with_values(row, self.fields)
        except ValueError as error:
            raise ExperimentError(f'{self.path}: {error}') from None


def read(text: str) -> RunFile:
    """Return the file of that path: a kind of value of the command line."""
    path = options.expanded(text)
    try:
        fields = tomllib.loads(path.read_text(encoding='utf-8-sig'))
    except OSError as error:
        raise argparse.ArgumentTypeError(f'{path}: {error.strerror}') from None
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f'{path}: not TOML ({error})') from None
    said = {key: fields.pop(key, None) for key in (EXPERIMENT, NAME)}
    for key, value in said.items():
        if not isinstance(value, str | None):
            raise argparse.ArgumentTypeError(f'{path}: {key}={value!r}: expected a name, in '
                                             'quotes')
    return RunFile(path, *said.values(), fields)


def text(row: Row, own_name: str | None = None) -> str:
    """Return the file of a row's run; own_name: of the run, if the user gave it one.

    It has all fields but those that have no value, nor have one in the registry.
    """
    changed, configuration = naming.changes(row), row.configuration()
    said = {EXPERIMENT: row.name} | ({NAME: own_name} if own_name else {}) | {
        field: 'none' if value is None else value for field, value in configuration.items()
        if value is not None or field in changed}
    # A string of JSON is one of TOML, and so is a number
    return ''.join(f'{key} = {json.dumps(value, ensure_ascii=False)}\n'
                   for key, value in said.items())
