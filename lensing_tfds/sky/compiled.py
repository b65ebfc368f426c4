"""Python compiled to machine code by numba, at its first call on a machine."""

import contextlib
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile


def compiled(*liberties: str) -> Callable[[Callable[..., Any]], Any]:
    """Returns a decorator that compiles a function for this machine's processor.

    The machine code is kept beside the source, in the user's cache folder where that cannot be
    written, and for this process alone where neither can, or the disk is full. What is damaged
    there is made again. It is made anew when the function's own file changes, and holds what the
    function calls: let it call compiled functions of the same file only.

    Args:
      *liberties: what the compiler may do to floating-point arithmetic, in LLVM's words:
        `contract` makes one instruction of a product and a sum; `reassoc` and `nsz` sum in any
        order, without which a loop's sum cannot use SIMD registers.
    """

    def compile_function(function: Callable[..., Any]) -> Any:
        dispatcher: Any = numba.njit(fastmath=set(liberties))(function)
        with contextlib.suppress(RuntimeError):  # numba found no folder to write to
            dispatcher._cache = _Cache(function)
        return dispatcher

    return compile_function


class _Cache(FunctionCache):
    """numba's cache of a function, which never is a reason to fail."""

    def __init__(self, function: Callable[..., Any]):
        super().__init__(function)
        self._cache_file = _SealedFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever reading a damaged pickle raises
            with contextlib.suppress(Exception):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(Exception):  # a full disk, a folder that is gone
            super().save_overload(sig, data)


class _SealedFile(IndexDataCacheFile):
    """numba's files, with a checksum, and the name of what they hold.

    Machine code with a flipped bit might run, and compute something else. And two processes that
    compile at once, for other types, may write their code under the same name.
    """

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (key, data))

    def load(self, key: Any) -> Any:
        found_key, data = super().load(key) or (key, None)
        return data if found_key == key else None

    def _load_data(self, name: str) -> Any:
        content = Path(self._data_path(name)).read_bytes()
        data, seal = content[:-32], content[-32:]
        if hashlib.sha256(data).digest() != seal:
            raise ValueError(f"{name} is damaged")
        return pickle.loads(data)

    def _save_data(self, name: str, data: Any) -> None:
        content = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(content + hashlib.sha256(content).digest())
