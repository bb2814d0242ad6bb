"""The faults that tests have to notice: that they do, and what is refused as none."""
import pytest

from tests import mutants

BROKEN = r"""
tests/mutants.py: mutants
  nowhere {{1 => 2}}
  import {{re => os}}\nimport {{shutil => os}}
  Path{{ => s}}
tests/gone.py: mutants
  {{1 => 2}}
tests/mutants.py: gone
  return {{1 if survivors => 0 if survivors}}
"""


@pytest.mark.parametrize('pattern, message', [
    ('nowhere', "tests/mutants.py: 'nowhere 1' -> 'nowhere 2': the code is there 0 times"),
    ('Paths', 'times, expected once'), ('tests/gone.py', 'tests/gone.py: not there'),
    ('survivors', 'tests/test_gone.py: not there'), ('*', 'the code is there 0 times'),
    ('elsewhere', 'no fault matches elsewhere')])
def test_what_is_no_fault_of_the_code_is_one_line(capsys, monkeypatch, pattern, message):
    monkeypatch.setattr(mutants, 'MUTANTS', [*mutants._mutants(BROKEN)])
    assert mutants.main(pattern) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith('error: ') and message in err and err.count('\n') == 1


def test_tests_that_fail_without_a_fault_notice_none(capsys, monkeypatch):
    monkeypatch.setattr(mutants, 'copy_of_the_project', lambda folder: folder)
    monkeypatch.setattr(mutants, 'passing', lambda tests, project: tests != [
        'tests/test_metrics.py'])
    assert mutants.main('training/evaluation/metrics.py') == 2
    assert capsys.readouterr() == ('', 'error: tests/test_metrics.py: fails without a fault\n')


def test_each_mark_of_a_line_is_a_fault_beside_right_code():
    _, one, other, *_ = mutants._mutants(BROKEN)
    assert one.old == other.old == 'import re\nimport shutil'
    assert (one.new, other.new) == ('import os\nimport shutil', 'import re\nimport os')
    assert one.mistake() is other.mistake() is None


def test_faults_are_of_the_code_as_it_is():
    assert [one.mistake() for one in mutants.MUTANTS if one.mistake()] == []


@pytest.mark.slow
def test_tests_notice_every_fault():
    assert len(mutants.MUTANTS) > 100
    assert mutants.main() == 0
