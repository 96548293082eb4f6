"""Vectorised activations for the compiled kernels; LLVM's own exp is a call for each element."""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

# no "nnan" and "ninf": a NaN must come out as a NaN, so that training stops
FAST = {"contract", "nsz", "arcp", "reassoc"}
compiled = njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
# Part of its callers: a function of its own is compiled apart for itself and for every caller, rounding differently,
# and which copy runs would depend on what was compiled in this process and what came from numba's cache.
inlined = njit(nogil=True, fastmath=FAST, error_model="numpy", forceinline=True)
LINEAR, RELU, ELU = 0, 1, 2


@intrinsic
def _as_float(_context, i):
    """Read the bits of an int32 as a float32."""

    def build(_context, builder, _signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), build


def exp(x):
    """Return e^x: 2^k times a polynomial in float32 (relative error 2e-7), the library's in float64."""


@overload(exp, inline="always")
def _exp(x):
    if x != types.float32:
        return lambda x: math.exp(min(max(x, -700.0), 700.0))

    def fast(x):
        x = min(max(x, np.float32(-87)), np.float32(88))
        k = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
        f = (x - k * np.float32(0.693359375)) + k * np.float32(2.1219444e-4)  # ln 2 in two parts
        p = np.float32(1.9875691e-4)
        p = p * f + np.float32(1.3981999507e-3)
        p = p * f + np.float32(8.3334519073e-3)
        p = p * f + np.float32(4.1665795894e-2)
        p = p * f + np.float32(1.6666665459e-1)
        p = p * f + np.float32(5.0000001201e-1)
        p = p * f * f + f + np.float32(1)
        return p * _as_float((np.int32(k) + np.int32(127)) << np.int32(23))

    return fast
