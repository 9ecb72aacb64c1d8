"""Every kernel of the list against the NumPy reference: both dtypes, awkward sizes, aligned and not, guarded."""

import pytest
from kernel_cases import DTYPES, Workbench, awkward_sizes
from kernel_table import ROWS

from nnfast import _core


def test_every_kernel_has_a_row() -> None:
    assert set(ROWS) == set(_core.kernel_names())


@pytest.mark.parametrize("shift", [0, 1], ids=["aligned", "one off"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", ROWS)
def test_kernel_equals_reference(kernel: str, dtype: str, shift: int) -> None:
    for size in awkward_sizes(dtype):
        bench = Workbench(dtype, size, shift)
        for check in ROWS[kernel](bench):
            check.label = f"size {size}: {check.label}"
            check.verify()
        bench.check()


@pytest.mark.parametrize("kernel", ROWS)
def test_large_arrays_equal_reference(kernel: str) -> None:
    bench = Workbench("float32", 60_011)  # enough work to be split over threads
    for check in ROWS[kernel](bench):
        check.verify()
    bench.check()
