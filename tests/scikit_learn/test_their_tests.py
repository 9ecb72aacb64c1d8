"""scikit-learn's own tests of MLPClassifier and MLPRegressor, with nnfast's in their place."""

import importlib.util
import warnings
from types import ModuleType

import pytest

pytest.importorskip("sklearn", minversion="1.6")

import sklearn.neural_network

import nnfast as nf

pytestmark = pytest.mark.slow

DO_NOT_APPLY = {
    "test_fit": "assigns the attributes of a fitted estimator, also private ones, to one that has not been fitted",
    "test_gradient": "calls the private method _loss_grad_lbfgs",
    "test_early_stopping_stratified": "wants 'True' as the name of a class that the caller has called 1",
}


def their_tests() -> ModuleType:
    """A copy of the module for which sklearn.neural_network has other classes."""
    spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    if spec is None or spec.loader is None:
        pytest.skip("scikit-learn was installed without its tests", allow_module_level=True)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLPClassifier", "MLPRegressor"):
            patch.setattr(sklearn.neural_network, name, getattr(nf.sklearn, name))
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def global_random_seed() -> int:
    return 42


@pytest.fixture(autouse=True)
def _their_warnings() -> None:
    """Many of their fits end with a warning."""
    warnings.simplefilter("ignore")


globals().update(
    {name: test for name, test in vars(their_tests()).items() if name.startswith("test_") and name not in DO_NOT_APPLY}
)
