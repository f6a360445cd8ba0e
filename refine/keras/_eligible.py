"""The models that the short step can train: those for which it gives the results of Keras' own step.

Required: metrics follow from all predictions of an epoch, and only Keras assigns variables. Only listed
    layers, losses and
metrics are accepted.
"""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from refine.keras._flat_optimizer import is_elementwise

if TYPE_CHECKING:
    from refine.keras._data import Plan, TrainingRows

# Layers whose call assigns no trainable variable and that hold no metrics.
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
# Means over rows of a function of the row alone. Excluded: dice, tversky, circle and ctc, and the hinge
# losses, which inspect all labels of a batch.
_FUNCTIONS = """
binary_accuracy binary_crossentropy binary_focal_crossentropy categorical_accuracy categorical_crossentropy
categorical_focal_crossentropy categorical_generalized_cross_entropy categorical_hinge concordance_correlation
cosine_similarity huber kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error
mean_squared_error mean_squared_logarithmic_error pearson_correlation poisson sparse_categorical_accuracy
sparse_categorical_crossentropy sparse_top_k_categorical_accuracy top_k_categorical_accuracy
"""
# Losses and metrics that are means over rows, or functions of sums over rows.
_CLASSES = """
AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryFocalCrossentropy BinaryIoU CategoricalAccuracy
CategoricalCrossentropy CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy CategoricalHinge
ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives FalsePositives Huber IoU
KLDivergence LogCosh LogCoshError MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanMetricWrapper
MeanSquaredError MeanSquaredLogarithmicError OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision
PrecisionAtRecall R2Score Recall RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity
SparseCategoricalAccuracy SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy
SpecificityAtSensitivity TopKCategoricalAccuracy TrueNegatives TruePositives
"""
# For these names Keras chooses a known function by the shapes of targets and predictions.
_CHOSEN = ("acc", "accuracy", "ce", "crossentropy")

# Limit of the numbers in memory: the predictions of an epoch, and a copy of the data in batches.
_MOST_NUMBERS = 2**23


def _named(names: str, *modules: object) -> frozenset[Any]:
    """The attributes of modules under these names; versions of Keras differ in some."""
    return frozenset(getattr(m, name) for m in modules for name in names.split() if hasattr(m, name))


_KNOWN_LAYERS = _named(_LAYERS, keras.layers)
_KNOWN_FUNCTIONS = _named(_FUNCTIONS, keras.losses, keras.metrics)
_KNOWN_CLASSES = _named(_CLASSES, keras.losses, keras.metrics)

_STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics", "get_metrics_result", "reset_metrics")


def is_public(obj: object) -> bool:
    """True if a class, function or instance belongs to Keras or to refine's metrics."""
    module = str(getattr(obj, "__module__", type(obj).__module__))
    return module.startswith(("keras.", "refine.keras."))


def is_standard(model: keras.Model) -> bool:
    """True if all steps and the metric bookkeeping of the model are Keras' own."""
    return all(getattr(type(model), name) is getattr(keras.Model, name) for name in _STEPS)


def unfit(model: keras.Model, plan: Plan) -> str | None:
    """The reason why the short step may differ from ``model.fit``; `None` if it can't.

    The reason completes "because". The short step takes a built, compiled functional model of known layers
    with one output and one loss, known metrics, an optimizer that treats all numbers alike, and data that fit
    in memory twice.
    """
    if not is_standard(model) or not is_public(type(model)):
        return f"the model's class {type(model).__name__} is not Keras' own"
    for layer in model._flatten_layers():
        nested = isinstance(layer, keras.Model)
        if not (is_public(type(layer)) if nested else type(layer) in _KNOWN_LAYERS):
            return f"layer {type(layer).__name__} is not in the list of known layers"
        if layer.compute_dtype in ("float16", "bfloat16"):
            return f"{layer.compute_dtype} rounds sums differently in another order"
    output = getattr(getattr(model, "_functional", None) or model, "_outputs_struct", None)
    if not isinstance(output, keras.KerasTensor):
        return "the model has several outputs"
    if getattr(output, "_keras_mask", None) is not None:
        return "the model's output carries a mask"
    if not is_elementwise(model.optimizer):
        return f"{type(model.optimizer).__name__} does not update all weights by one rule"
    for rows in filter(None, (plan.train, plan.validation)):
        parts = rows.data
        if not (isinstance(parts, tuple) and len(parts) > 1 and all(map(tf.is_tensor, parts[1:]))):
            return "targets or weights are not a single array"
        if not _fits(rows, output.shape):
            return "predictions and data of an epoch don't fit in memory"
    variables = model.trainable_variables
    if len({v.dtype for v in variables}) != 1:
        return "trainable variables are missing or of several types"
    if any(v.constraint is not None or v.overwrite_with_gradient for v in variables):
        return "a variable has a constraint"
    compiled_metrics = model._compile_metrics
    if compiled_metrics is None:
        metrics = []
    else:
        metrics = [compiled_metrics._user_metrics, compiled_metrics._user_weighted_metrics]
    for metric in keras.tree.flatten(metrics):
        if metric is not None and not is_known(metric, keras.metrics.get):
            if isinstance(metric, str):
                name = metric
            else:
                name = getattr(metric, "__name__", type(metric).__name__)
            return f"metric {name} is not in the list of known metrics"
    return None


def _fits(rows: TrainingRows, output: tuple[int | None, ...]) -> bool:
    """True if examples and their predictions are small enough for memory."""
    leaves = keras.tree.flatten(rows.data)
    if None in output[1:] or not all(map(tf.is_tensor, leaves)):
        return False
    predictions = rows.size * math.prod(n or 0 for n in output[1:])
    return predictions + sum(math.prod(leaf.shape) for leaf in leaves) <= _MOST_NUMBERS


def is_known(thing: Any, get: Any) -> bool:
    """True if a loss or metric, as passed to ``compile``, is listed and treats rows independently."""
    if isinstance(thing, str):
        if thing.lower() in _CHOSEN:
            return True
        thing = get(thing)
    if inspect.isfunction(thing):
        return thing in _KNOWN_FUNCTIONS
    if inspect.isclass(thing):
        kind = thing
    else:
        kind = type(thing)
    if kind.__module__ == "refine.keras.metrics":
        return True
    if kind is keras.metrics.MeanMetricWrapper and getattr(thing, "_fn", None) not in _KNOWN_FUNCTIONS:
        return False
    options = getattr(thing, "_fn_kwargs", None) or {}
    return kind in _KNOWN_CLASSES and options.get("axis", -1) == -1 and options.get("ignore_class") is None
