"""Equivalences of mixtures as programs with two results that must agree."""

from builder import Tensor, Value, uniform
from choices import Choices
from experts import Range
from generate import PROPERTIES, SIZES, Layer, combine, dispatch, property_test, softmax, tokens_of, weights_of
