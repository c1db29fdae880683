"""Import of torchaudio without its native extension if that does not match torch.

torchaudio's wheel on the package index is built for CUDA. With a CPU build of torch its native
extension cannot be loaded and `import torchaudio` raises OSError, although this project uses only
modules in pure torch (transforms, functional). transformers imports torchaudio if it is installed
and fails in the same way. Therefore import torchaudio only through `import_torchaudio`, and call it
before the first import of transformers and of external code.
"""

from __future__ import annotations

import importlib
import sys
import types
from types import ModuleType

_EXTENSION = "torchaudio._extension"


def import_torchaudio() -> ModuleType:
    """Import torchaudio, without its native extension if that was built for another torch.

    Functions that need the extension (forced alignment, the RNN-T loss) then raise when they are
    called, as in a torchaudio that was built without it.
    """
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules[_EXTENSION] = _absent_extension()
        return importlib.import_module("torchaudio")


def _absent_extension() -> ModuleType:
    """Return `torchaudio._extension` as in a build without native code."""

    def raise_on_call(function: object) -> object:
        def raise_error(*_arguments: object, **_options: object) -> None:
            raise RuntimeError(
                "this torchaudio was built for CUDA and its native extension cannot be loaded with "
                "a CPU build of torch; install a torchaudio that matches torch"
            )

        return raise_error

    module = types.ModuleType(_EXTENSION)
    module.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        fail_if_no_align=raise_on_call,
    )
    return module
