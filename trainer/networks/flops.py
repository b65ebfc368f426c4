"""Arithmetic of a network, counted in its built graph, operation by operation."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from lensing_tfds.errors import LensingError
from trainer.networks.physical import task_of

if TYPE_CHECKING:
    import keras

_MOVING = frozenset(
    (
        *("BroadcastTo", "Cast", "Complex", "ConcatV2", "Const", "ExpandDims", "Fill", "GatherV2"),
        *("Identity", "IdentityN", "Imag", "Pack", "Pad", "PadV2", "Placeholder", "Real"),
        *("ReadVariableOp", "Reshape", "ResizeNearestNeighbor", "ReverseV2", "Roll", "SelectV2"),
        *("Slice", "Split", "SplitV", "Squeeze", "StopGradient", "StridedSlice", "Tile"),
        *("Transpose", "Unpack", "ZerosLike"),
    )
)
"""TensorFlow's operations that copy numbers, or choose among them, and calculate none."""

_REDUCTIONS = frozenset(
    ("AvgPool", "Max", "MaxPool", "Mean", "Min", "Prod", "Sum", "UnsortedSegmentSum")
)

_TRANSFORMS = {"FFT": 1, "IFFT": 1, "FFT2D": 2, "IFFT2D": 2, "FFT3D": 3, "IFFT3D": 3}
"""Complex Fourier transforms, with the axes that they go along, the last ones."""

_UNKNOWN = ("FFT", "Conv", "MatMul", "Einsum", "Call", "While", "If")
"""Parts of the names of operations that take more than one a number, but for those above."""

_LOOPS = ("While", "StatelessWhile")
"""Loops, whose second input is the most steps that they take."""

_TRANSPOSED = {"MatMul": "transpose_a", "BatchMatMulV2": "adj_x"}


def flops(model: keras.Model) -> int:
    """Counts the floating-point operations of one example's forward pass.

    A multiplication and an addition are one each: 2 for each weight of a convolution and each pixel
    that it gives; 5 N log2 N for a complex Fourier transform of N pixels, which is what a radix-2
    one takes (and the FFTW benchmarks count, whatever is used); one a number for what works on each
    by itself, an exponential as well as a sum. Copies are free. Loops that end by themselves, as
    those of filters do, count with the most steps that they may take.

    Args:
      model: in physical units; Keras's backend is TensorFlow, in whose graph they are counted.

    Raises:
      LensingError: it is another.
    """
    import keras
    import tensorflow as tf

    if (backend := keras.backend.backend()) != "tensorflow":
        raise LensingError(
            f"operations are counted in TensorFlow's graph, and Keras's backend is {backend}: set "
            "KERAS_BACKEND=tensorflow"
        )
    maps = tf.TensorSpec((1, *task_of(model).input_shape), tf.float32)
    graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(maps).graph
    return sum(map(_count, graph.get_operations()))


def _count(operation: Any) -> int:
    import tensorflow as tf

    kind = operation.type
    if kind in _MOVING or not operation.outputs:
        return 0
    if kind in _LOOPS and (most := tf.get_static_value(operation.inputs[1])) is not None:
        body = operation.graph._get_function(operation.get_attr("body").name).graph
        return int(most) * sum(map(_count, body.get_operations()))
    (result, *_), shapes = operation.outputs, [tensor.shape for tensor in operation.inputs]
    if not (result.dtype.is_floating or result.dtype.is_complex):
        return 0  # indices and masks
    if kind == "Conv2D":
        (height, width, channels, _) = shapes[1]
        return int(2 * height * width * channels * result.shape.num_elements())
    if kind == "Conv2DBackpropInput":  # a transposed one: each of its inputs is spread
        (height, width, channels, _) = shapes[1]
        return int(2 * height * width * channels * shapes[2].num_elements())
    if kind in ("MatMul", "BatchMatMulV2"):
        inner = shapes[0][-2 if operation.get_attr(_TRANSPOSED[kind]) else -1]
        return int(2 * inner * result.shape.num_elements())
    if kind == "Einsum":
        terms = operation.get_attr("equation").decode().partition("->")[0].split(",")
        pairs = [zip(*named, strict=True) for named in zip(terms, shapes, strict=True)]
        return 2 * math.prod(dict(itertools.chain(*pairs)).values())
    if kind in _TRANSFORMS:
        pixels = math.prod(shapes[0][-_TRANSFORMS[kind] :])
        return round(5 * shapes[0].num_elements() * math.log2(pixels))
    if any(word in kind for word in _UNKNOWN):
        raise LensingError(f"cannot count the operations of a {kind}: trainer/networks/flops.py")
    counted = shapes[0] if kind in _REDUCTIONS else result.shape
    return int(counted.num_elements())
