"""The one place where torchaudio is imported.

torchaudio's wheel on the package index is built for CUDA. Beside a CPU build of torch its native
module does not load, and `import torchaudio` raises OSError, although everything that this project
uses of it (transforms, functional) is plain torch. transformers imports torchaudio whenever it is
installed and crashes the same way. So: import torchaudio through `import_torchaudio`, and call it
before the first import of transformers, and of anybody else's code.
"""

from __future__ import annotations

import importlib
import sys
import types
from types import ModuleType

_EXTENSION = "torchaudio._extension"


def import_torchaudio() -> ModuleType:
    """The torchaudio module; without its native part where that was built for another torch.

    What needs the native part (forced alignment, the RNN-T loss) then raises when it is called,
    as torchaudio itself does where it was built without.
    """
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules[_EXTENSION] = _extension_that_is_absent()
        return importlib.import_module("torchaudio")


def _extension_that_is_absent() -> ModuleType:
    """What `torchaudio._extension` holds in a build without native code."""

    def refuse(function: object) -> object:
        def raise_error(*_arguments: object, **_options: object) -> None:
            raise RuntimeError(
                "this torchaudio was built for CUDA and cannot load its native part beside a CPU "
                "torch; install a torchaudio that matches torch"
            )

        return raise_error

    module = types.ModuleType(_EXTENSION)
    module.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=refuse
    )
    return module
