"""Layers, losses and metrics that are known to treat rows one by one. Of everything else nothing is assumed.

Two shortcuts of `refine.keras.fit` rest on it: metrics follow from all predictions of an epoch at once, and validation
takes larger batches than training. What is not listed here runs Keras' own step, in Keras' own batches.
"""

from __future__ import annotations

import inspect
from typing import Any

import keras

# No output of a row depends on other rows, unless in training; no trainable variable is assigned by a call.
_LAYERS = """
Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D
AveragePooling2D AveragePooling3D BatchNormalization Bidirectional Concatenate Conv1D Conv1DTranspose Conv2D
Conv2DTranspose Conv3D Conv3DTranspose Cropping1D Cropping2D Cropping3D Dense DepthwiseConv1D DepthwiseConv2D
Dot Dropout ELU EinsumDense Embedding Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D
GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
GroupNormalization Identity InputLayer LSTM LSTMCell LayerNormalization LeakyReLU Masking MaxPooling1D
MaxPooling2D MaxPooling3D Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute
RMSNormalization ReLU RepeatVector Rescaling Reshape SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell
Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D Subtract TimeDistributed UnitNormalization
UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
# Arithmetic between tensors of a functional model (`x + y`), and what `Embedding` and `Masking` make masks with.
_OPERATIONS = ("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "NotEqual", "Any")

# Means over rows of something that follows from the row alone. Not here: dice, tversky, circle and ctc, and the
# hinge losses, which look at all labels of a batch to tell what the labels are.
_FUNCTIONS = """
binary_accuracy binary_crossentropy binary_focal_crossentropy categorical_accuracy categorical_crossentropy
categorical_focal_crossentropy categorical_generalized_cross_entropy categorical_hinge concordance_correlation
cosine_similarity huber kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error
mean_squared_error mean_squared_logarithmic_error pearson_correlation poisson sparse_categorical_accuracy
sparse_categorical_crossentropy sparse_top_k_categorical_accuracy top_k_categorical_accuracy
"""
_LOSSES = """
BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy CategoricalFocalCrossentropy
CategoricalGeneralizedCrossEntropy CategoricalHinge CosineSimilarity Huber KLDivergence LogCosh MeanAbsoluteError
MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson SparseCategoricalCrossentropy
"""
# Such means, or what follows from sums over rows.
_METRICS = """
AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy CategoricalCrossentropy
CategoricalHinge ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives FalsePositives IoU
KLDivergence LogCoshError MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanMetricWrapper MeanSquaredError
MeanSquaredLogarithmicError OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision PrecisionAtRecall R2Score
Recall RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity SparseCategoricalAccuracy
SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SpecificityAtSensitivity TopKCategoricalAccuracy
TrueNegatives TruePositives
"""
# Keras chooses between known ones by the shapes of targets and predictions.
_CHOSEN_METRICS, _CHOSEN_LOSSES = ("acc", "accuracy"), ("ce", "crossentropy")


def _named(module: Any, names: str) -> frozenset[Any]:
    """What a module has under these names; versions of Keras differ by some."""
    return frozenset(getattr(module, name) for name in names.split() if hasattr(module, name))


_KNOWN_LAYERS = _named(keras.layers, _LAYERS)
_KNOWN_FUNCTIONS = _named(keras.losses, _FUNCTIONS) | _named(keras.metrics, _FUNCTIONS)
_KNOWN_LOSSES = _named(keras.losses, _LOSSES)
_KNOWN_METRICS = _named(keras.metrics, _METRICS)

_STANDARD = (
    "train_step",
    "test_step",
    "compute_loss",
    "compute_metrics",
    "get_metrics_result",
    "reset_metrics",
)


def is_public(obj: Any) -> bool:
    """Whether a class, function or instance is one of Keras' own or of refine's metrics."""
    module = str(getattr(obj, "__module__", type(obj).__module__))
    return module.startswith(("keras.", "refine.keras."))


def is_standard(model: keras.Model) -> bool:
    """Whether all of the model's steps and metric bookkeeping are Keras' own."""
    return all(getattr(type(model), name) is getattr(keras.Model, name) for name in _STANDARD)


def unknown_layer(model: keras.Model) -> str | None:
    """What about the model's layers is not known, in words that complete "because"; `None` if all is."""
    if not is_standard(model) or not is_public(type(model)):
        return f"the model's class {type(model).__name__} is not Keras' own"
    for layer in model._flatten_layers():
        nested = isinstance(layer, keras.Model)
        if not (is_public(type(layer)) if nested else type(layer) in _KNOWN_LAYERS):
            return f"nothing is known of layer {type(layer).__name__}"
        if layer.compute_dtype in ("float16", "bfloat16"):
            return f"{layer.compute_dtype} rounds batches of other sizes in another way"
        if hasattr(layer, "recurrent_dropout") and (layer.dropout or layer.recurrent_dropout):
            return f"the dropout of {type(layer).__name__} draws in validation too"
        if not nested and not _keeps_rows(layer):
            return f"layer {type(layer).__name__} works across rows"
        for operation in getattr(getattr(layer, "_functional", None) or layer, "operations", ()):
            kind = type(operation)
            if isinstance(operation, keras.Layer):
                continue
            if not is_public(kind) or kind.__name__ not in _OPERATIONS or not _keeps_rows(operation):
                return f"nothing is known of operation {kind.__name__}"
    return None


def _keeps_rows(layer: Any) -> bool:
    """Whether the options of a known layer or operation leave the first axis alone."""
    if type(layer) is keras.layers.EinsumDense:
        before, after = layer.equation.split(",")[0], layer.equation.split("->")[-1]
        return bool(before[:1] == after[:1])
    ranks = {len(t.shape) for node in layer._inbound_nodes for t in node.input_tensors}
    rank = min(ranks, default=2)
    axes = keras.tree.flatten([getattr(layer, name, ()) for name in ("axis", "axes")])
    return all(axis is not None and (axis > 0 or -rank < axis < 0) for axis in axes)


def unknown_metric(model: keras.Model) -> str | None:
    """What about the metrics given to ``compile`` is not known, as `unknown_layer` says it."""
    compiled = model._compile_metrics
    if compiled is None:
        return None
    for given in (compiled._user_metrics, compiled._user_weighted_metrics):
        for metric in _parts(given):
            if not _is_known_metric(metric):
                return f"nothing is known of metric {_name(metric)}"
    return None


def _is_known_metric(metric: Any) -> bool:
    if isinstance(metric, str):
        if metric.lower() in _CHOSEN_METRICS:
            return True
        metric = keras.metrics.get(metric)
    kind = metric if inspect.isclass(metric) else type(metric)
    if kind.__module__ == "refine.keras.metrics":
        return True
    return _is_mean(metric, _KNOWN_METRICS)


def unknown_loss(model: keras.Model) -> str | None:
    """What about the loss is not known to be a mean over rows, as `unknown_layer` says it."""
    for loss in _parts(model._compile_loss._user_loss):
        if isinstance(loss, str) and loss.lower() in _CHOSEN_LOSSES:
            continue
        known = keras.losses.get(loss) if isinstance(loss, str) else loss
        if not _is_mean(known, _KNOWN_LOSSES) or getattr(known, "reduction", "mean") not in (
            "sum_over_batch_size",
            "mean",
        ):
            return f"nothing is known of loss {_name(loss)}"
    return None


def _is_mean(thing: Any, classes: frozenset[Any]) -> bool:
    """Whether a class, function or instance is a known one, with options that keep rows apart."""
    if inspect.isfunction(thing):
        return thing in _KNOWN_FUNCTIONS
    kind = thing if inspect.isclass(thing) else type(thing)
    if kind not in classes:
        return False
    function = getattr(thing, "_fn", None)
    if kind is keras.metrics.MeanMetricWrapper and function not in _KNOWN_FUNCTIONS:
        return False
    options = getattr(thing, "_fn_kwargs", None) or {}
    return options.get("axis", -1) == -1 and options.get("ignore_class") is None


def _parts(given: Any) -> list[Any]:
    """The losses or metrics in what was given to ``compile``."""
    return [part for part in keras.tree.flatten(given) if part is not None]


def _name(thing: Any) -> str:
    return thing if isinstance(thing, str) else str(getattr(thing, "__name__", type(thing).__name__))


def is_rowwise(model: keras.Model) -> bool:
    """Whether validation losses and metrics don't depend on how rows are batched.

    Then validation may use large batches: the same result up to rounding, far fewer steps. Anything not known
    counts as dependent. The model is built.
    """
    if unknown_layer(model) or unknown_loss(model) or unknown_metric(model):
        return False
    # Losses of single outputs are means over batches, and masks count other steps in other batches.
    if len(model.outputs) != 1 or getattr(model.outputs[0], "_keras_mask", None) is not None:
        return False
    return not any(
        getattr(layer, "activity_regularizer", None) is not None or _has_own_function(layer)
        for layer in model._flatten_layers()
    )


def _has_own_function(layer: Any) -> bool:
    names = ("activation", "recurrent_activation")
    functions = [getattr(layer, name, None) for name in names]
    return any(
        function is not None
        and not isinstance(function, keras.Layer)
        and not str(getattr(function, "__module__", "")).startswith("keras.src.activations")
        for function in functions
    )
