"""Python compiled to machine code by numba, at its first call on a machine."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(*liberties: str) -> Callable[[Callable[..., Any]], Any]:
    """Returns a decorator that compiles a function for this machine's processor.

    The machine code is kept beside the source, in the user's cache folder where that cannot be
    written, and for this process alone where neither can. It is made anew when the function's own
    file changes, and holds what the function calls: let it call compiled functions of the same
    file only.

    Args:
      *liberties: what the compiler may do to floating-point arithmetic, in LLVM's words:
        `contract` makes one instruction of a product and a sum; `reassoc` and `nsz` sum in any
        order, without which a loop's sum cannot use SIMD registers.
    """

    def compile_function(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=True, fastmath=set(liberties))(function)
        except RuntimeError:  # numba found no folder to write to
            return numba.njit(fastmath=set(liberties))(function)

    return compile_function
