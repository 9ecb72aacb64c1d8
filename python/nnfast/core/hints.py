"""Names of Keras and PyTorch that nnfast does not have, with the hints that error messages give instead."""

__all__ = ["ARGUMENTS", "CALLBACKS", "LAYERS", "LOSSES", "NETWORK", "PACKAGE", "SCHEDULES", "TRAINER"]

_MASKS = "leave it out: the mask that layers.Masking or Embedding(mask_zero=True) makes travels with the sequence"
ARGUMENTS = {
    "attention_axes": "leave it out: attention is over the steps of (N, T, D)",
    "betas": "write beta_1= and beta_2=",
    "decay": "pass a schedule for a learning rate that decays, such as learning_rate=schedules.InverseTime(...)",
    "activity_regularizer": "put layers.ActivityRegularization(l1, l2) after the layer",
    "backup_dir": "write path=..., the name of a file",
    "depthwise_constraint": "write kernel_constraint=...",
    "depthwise_regularizer": "write kernel_regularizer=...",
    "double_checkpoint": "leave it out: a file is replaced only when its successor is complete",
    "filepath": "write path=...",
    "flash_attention": "leave it out: the weights of attention are never all in memory",
    "implementation": "leave it out: there is only one",
    "key_mask": _MASKS,
    "mask": _MASKS,
    "query_mask": _MASKS,
    "value_mask": _MASKS,
    "training": "leave it out: fit, train_on_batch and vjp(training=True) train, and predict does not",
    "input_shape": "put layers.Input(shape) before the first layer",
    "learning_rate": "write optimizer=optimizers.Adam(learning_rate=...), or another optimizer with it",
    "lr": "write learning_rate=, an argument of optimizers such as optimizers.Adam(learning_rate=...)",
    "mask_token": "write padding_token=...",
    "max_tokens": "write max_size=...",
    "min_freq": "write min_count=...",
    "num_classes": "leave it out: there are as many classes as outputs",
    "num_labels": "leave it out: there are as many labels as outputs",
    "oov_token": "write unknown_token=...",
    "period": "write every_n_epochs=...",
    "run_eagerly": "leave it out; inspect the network with Network.trace and Network.explain",
    "unroll": "leave it out: loops over steps are compiled",
    "verbose": "use progress= of fit: False shows nothing, True a progress bar",
    "weights": "set initial values with kernel_initializer= and bias_initializer=",
    "batch_first": "leave it out: sequences are (N, T, D)",
    "bidirectional": "write layers.Bidirectional(layer)",
    "hidden_size": "write units=...",
    "num_layers": "make several layers, all but the last with return_sequences=True",
    "use_cudnn": "leave it out: everything runs on the CPU",
    "zero_output_for_mask": "leave it out; layers.Bidirectional returns padding as zeros",
}

PACKAGE = {
    "Sequential": "write nnfast.Network([...])",
    "Model": "write nnfast.Network(inputs=..., outputs=...)",
    "Input": "write nnfast.layers.Input(shape)",
    "Dense": "write nnfast.layers.Dense(units)",
    "load_model": "write nnfast.Network.load(path)",
    "load": "write nnfast.Network.load(path)",
    "nn": "the layers are in nnfast.layers",
    "optim": "the optimizers are in nnfast.optimizers",
    "datasets": "data sets are in nnfast.data",
    "applications": "ready-made networks are in nnfast.models",
}

LAYERS = {
    "RNN": "write layers.SimpleRNN(units)",
    "Linear": "write layers.Dense(units), which infers the number of inputs",
    "BatchNorm1d": "write layers.BatchNormalization()",
    "BatchNorm2d": "write layers.BatchNormalization()",
    "RMSNorm": "write layers.RMSNormalization()",
    "MultiheadAttention": "write layers.MultiHeadAttention(num_heads, key_dim)",
    "TransformerDecoderLayer": "write layers.TransformerDecoder(intermediate_dim, num_heads)",
    "TransformerEncoderLayer": "write layers.TransformerEncoder(intermediate_dim, num_heads)",
    "Sequential": "write nnfast.Network([...])",
}

CALLBACKS = {
    "CallbackList": "pass a list of callbacks to fit",
    "History": "fit returns it, and trainer.history is that of the last fit",
    "ProgbarLogger": "use the argument progress= of fit",
    "RemoteMonitor": "write callbacks.Logger(log) with a function log(figures, step)",
}

SCHEDULES = {
    "ConstantLR": "write schedules.Piecewise(boundaries, values)",
    "CosineAnnealingLR": "write schedules.Cosine(initial, steps, final=...)",
    "CosineAnnealingWarmRestarts": "write schedules.CosineRestarts(initial, steps, period_factor=..., final=...)",
    "ExponentialLR": "write schedules.Exponential(initial, steps, factor)",
    "LambdaLR": "pass the function of the step to the optimizer as learning_rate",
    "LearningRateSchedule": "derive from schedules.Schedule",
    "LinearLR": "write schedules.Warmup(schedule, steps), or schedules.Polynomial(initial, steps, final=...)",
    "MultiStepLR": "write schedules.Piecewise(boundaries, values)",
    "OneCycleLR": "write schedules.OneCycle(peak, steps)",
    "PolynomialLR": "write schedules.Polynomial(initial, steps, power=...)",
    "ReduceLROnPlateau": "write callbacks.ReduceLROnPlateau(monitor)",
    "StepLR": "write schedules.Exponential(initial, steps, factor, staircase=True)",
}

OPS = {
    "np": "use the functions of nf.ops",
    "cat": "write nf.ops.concatenate",
    "mm": "write nf.ops.matmul",
    "bmm": "write nf.ops.matmul",
    "unsqueeze": "write nf.ops.expand_dims",
    "permute": "write nf.ops.transpose",
    "gather": "write nf.ops.take_along_axis",
}

LOSSES = {
    "MSELoss": "write losses.MeanSquaredError()",
    "L1Loss": "write losses.MeanAbsoluteError()",
    "BCEWithLogitsLoss": "write losses.BinaryCrossEntropy(from_logits=True)",
    "CrossEntropyLoss": "write losses.CrossEntropy(from_logits=True)",
}

_TRAINER = 'to train, use nf.Trainer(net, loss=..., optimizer="adam")'
NETWORK = {
    "fit": f"{_TRAINER}, which has fit(x, y, epochs=...)",
    "compile": f"{_TRAINER}, which takes the arguments of compile",
    "train": f"{_TRAINER}, which has fit(x, y, epochs=...); there is no training mode to set",
    "eval": "there is no evaluation mode to set: predict never trains",
    "evaluate": f"{_TRAINER}, which has evaluate(x, y)",
    "train_on_batch": f"{_TRAINER}, which has train_on_batch(x, y)",
    "forward": "call predict(x)",
    "state_dict": "use parameters, by name, or save(path)",
    "load_state_dict": "write values with net.parameters[name][...] = values, or use Network.load(path)",
    "weights": "use parameters, by name, or get_weights()",
    "trainable_weights": "use trainable, the names, with parameters",
    "count_params": "use num_parameters",
    "add": "give Network the whole list of layers",
    "to": "everything runs on the CPU; for another dtype use copy(dtype)",
}

TRAINER = {
    "compile": "write a new nf.Trainer(net, loss=..., optimizer=..., metrics=[...])",
    "predict": "the network predicts: trainer.network.predict(x)",
    "save": "write save_checkpoint(path), or trainer.network.save(path) for the network alone",
    "load": "write nf.Trainer.resume(path)",
    "summary": "write trainer.network.summary()",
    "model": "write trainer.network",
    "step": "write train_on_batch(x, y)",
    "zero_grad": "leave it out: each step computes new gradients",
    "learning_rate": "write trainer.optimizer.learning_rate",
}
