"""scikit-learn's MLPClassifier and MLPRegressor: one call of partial_fit is one step on the batch."""

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from bench.peers import Contender
from bench.workloads import ADAM, Step


def step(task: Step) -> Contender | None:
    workload = task.workload
    classes = workload.output == "softmax"
    if not classes and workload.output != "identity":
        return None
    x, y = workload.inputs(workload.batch), workload.targets(workload.batch)
    options: dict[str, Any] = {
        "hidden_layer_sizes": workload.sizes[1:-1],
        "activation": workload.hidden,
        "solver": workload.optimizer,
        "learning_rate_init": workload.learning_rate,
        "alpha": 0.0,
        "batch_size": workload.batch,
        "shuffle": False,
        "momentum": 0.0,
        "nesterovs_momentum": False,
        "epsilon": ADAM["epsilon"],
        "random_state": 0,
    }
    model = MLPClassifier(**options) if classes else MLPRegressor(**options)
    if classes:
        model.partial_fit(x, y, classes=np.arange(workload.sizes[-1]))
    else:
        model.partial_fit(x, y)
    for (kernel, bias), own_kernel, own_bias in zip(workload.weights(), model.coefs_, model.intercepts_, strict=True):
        own_kernel[...], own_bias[...] = kernel, bias

    def call() -> float:
        model.partial_fit(x, y)
        # The regressor's loss is half of the mean squared error.
        return model.loss_ if classes else 2 * model.loss_

    # The first call above has moved Adam's moments, so that only the first loss must agree.
    return Contender(call, lambda: {"first loss": np.array([call()])})
