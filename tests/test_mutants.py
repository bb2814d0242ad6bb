"""The faults that tests have to notice are faults of the code as it is."""
import pytest

from tests import mutants


@pytest.mark.parametrize('mutant', mutants.MUTANTS, ids=str)
def test_fault_is_one_of_the_code(mutant):
    assert (mutants.ROOT / mutant.path).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new
    assert all((mutants.ROOT / name).exists() for name in mutant.tests)


@pytest.mark.slow
def test_tests_notice_every_fault():
    assert len(mutants.MUTANTS) >= 40
    assert mutants.main() == 0
