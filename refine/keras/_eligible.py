"""Which models the short step takes: those of which it is known that it gives what Keras' own step gives.

Metrics follow from all predictions of an epoch at once, and no variable is assigned but through Keras. Of what is not listed
here nothing is assumed.
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

# No trainable variable is assigned by a call, and there are no metrics inside.
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
# Means over rows of something that follows from the row alone. Not here: dice, tversky, circle and ctc, and the
# hinge losses, which look at all labels of a batch to tell what the labels are.
_FUNCTIONS = """
binary_accuracy binary_crossentropy binary_focal_crossentropy categorical_accuracy categorical_crossentropy
categorical_focal_crossentropy categorical_generalized_cross_entropy categorical_hinge concordance_correlation
cosine_similarity huber kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error
mean_squared_error mean_squared_logarithmic_error pearson_correlation poisson sparse_categorical_accuracy
sparse_categorical_crossentropy sparse_top_k_categorical_accuracy top_k_categorical_accuracy
"""
# Losses and metrics that are such means, or follow from sums over rows.
_CLASSES = """
AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryFocalCrossentropy BinaryIoU CategoricalAccuracy
CategoricalCrossentropy CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy CategoricalHinge
ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives FalsePositives Huber IoU KLDivergence LogCosh
LogCoshError MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanMetricWrapper MeanSquaredError
MeanSquaredLogarithmicError OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision PrecisionAtRecall R2Score
Recall RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity SparseCategoricalAccuracy
SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SpecificityAtSensitivity TopKCategoricalAccuracy
TrueNegatives TruePositives
"""
# Keras chooses between known ones by the shapes of targets and predictions.
_CHOSEN = ("acc", "accuracy", "ce", "crossentropy")

# Predictions of an epoch are kept until its end, and the data a second time in batches.
_MOST_NUMBERS = 2**23


def _named(names: str, *modules: Any) -> frozenset[Any]:
    """What modules have under these names; versions of Keras differ by some."""
    return frozenset(getattr(m, name) for m in modules for name in names.split() if hasattr(m, name))


_KNOWN_LAYERS = _named(_LAYERS, keras.layers)
_KNOWN_FUNCTIONS = _named(_FUNCTIONS, keras.losses, keras.metrics)
_KNOWN_CLASSES = _named(_CLASSES, keras.losses, keras.metrics)

_STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics", "get_metrics_result", "reset_metrics")


def is_public(obj: Any) -> bool:
    """Whether a class, function or instance is one of Keras' own or of refine's metrics."""
    module = str(getattr(obj, "__module__", type(obj).__module__))
    return module.startswith(("keras.", "refine.keras."))


def is_standard(model: keras.Model) -> bool:
    """Whether all of the model's steps and metric bookkeeping are Keras' own."""
    return all(getattr(type(model), name) is getattr(keras.Model, name) for name in _STEPS)


def unfit(model: keras.Model, plan: Plan) -> str | None:
    """Why the short step may not give what ``model.fit`` gives, in words that complete "because"; `None` if it does.

    It takes a built, compiled functional model of known layers with one output and one loss, known metrics, an optimizer
    that treats every number alike, and data that fit in memory twice.
    """
    if not is_standard(model) or not is_public(type(model)):
        return f"the model's class {type(model).__name__} is not Keras' own"
    for layer in model._flatten_layers():
        nested = isinstance(layer, keras.Model)
        if not (is_public(type(layer)) if nested else type(layer) in _KNOWN_LAYERS):
            return f"nothing is known of layer {type(layer).__name__}"
        if layer.compute_dtype in ("float16", "bfloat16"):
            return f"{layer.compute_dtype} rounds sums in another order in another way"
    output = getattr(getattr(model, "_functional", None) or model, "_outputs_struct", None)
    if not isinstance(output, keras.KerasTensor):
        return "the model has several outputs"
    if getattr(output, "_keras_mask", None) is not None:
        return "the model's output carries a mask"
    if not is_elementwise(model.optimizer):
        return f"{type(model.optimizer).__name__} does not update every weight by the same rule"
    for rows in filter(None, (plan.train, plan.validation)):
        parts = rows.data
        if not (isinstance(parts, tuple) and len(parts) > 1 and all(map(tf.is_tensor, parts[1:]))):
            return "targets and weights are not one array each"
        if not _fits(rows, output.shape):
            return "predictions and data of an epoch don't fit in memory"
    variables = model.trainable_variables
    if len({v.dtype for v in variables}) != 1:
        return "there are no trainable variables of one type"
    if any(v.constraint is not None or v.overwrite_with_gradient for v in variables):
        return "a variable has a constraint"
    given = model._compile_metrics
    metrics = [] if given is None else [given._user_metrics, given._user_weighted_metrics]
    for metric in keras.tree.flatten(metrics):
        if metric is not None and not is_known(metric, keras.metrics.get):
            name = metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
            return f"nothing is known of metric {name}"
    return None


def _fits(rows: TrainingRows, output: tuple[int | None, ...]) -> bool:
    """Whether examples and their predictions are small enough."""
    leaves = keras.tree.flatten(rows.data)
    if None in output[1:] or not all(map(tf.is_tensor, leaves)):
        return False
    predictions = rows.size * math.prod(n or 0 for n in output[1:])
    return predictions + sum(math.prod(leaf.shape) for leaf in leaves) <= _MOST_NUMBERS


def is_known(thing: Any, get: Any) -> bool:
    """Whether a loss or metric, as given to ``compile``, is a known one, with options that keep rows apart."""
    if isinstance(thing, str):
        if thing.lower() in _CHOSEN:
            return True
        thing = get(thing)
    if inspect.isfunction(thing):
        return thing in _KNOWN_FUNCTIONS
    kind = thing if inspect.isclass(thing) else type(thing)
    if kind.__module__ == "refine.keras.metrics":
        return True
    if kind is keras.metrics.MeanMetricWrapper and getattr(thing, "_fn", None) not in _KNOWN_FUNCTIONS:
        return False
    options = getattr(thing, "_fn_kwargs", None) or {}
    return kind in _KNOWN_CLASSES and options.get("axis", -1) == -1 and options.get("ignore_class") is None
