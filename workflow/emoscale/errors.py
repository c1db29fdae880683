"""The errors that a person can mend: each message has the place and the way out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path


class UserError(Exception):
    """Something that the person at the keyboard can mend; shown without a traceback."""


class ConfigurationError(UserError):
    """The study's configuration asks for something that does not exist or contradicts itself."""


class CorpusError(UserError):
    """The corpus is not what its reader expects."""


class AudioError(UserError):
    """One recording cannot be used; `reason` is the short code that the rejected table shows."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class CheckpointError(UserError):
    """A file of pre-trained weights is missing, damaged, refused, or of another architecture."""


class StoreError(UserError):
    """A feature shard or table is damaged, incomplete or not the one that was asked for."""


class DamagedFileError(StoreError):
    """A file of a study's results is not what was written.

    `check` raises this error again for as long as the file is damaged. `standing_for` are files
    that the workflow sees in the file's place: without them it makes the file again.
    """

    def __init__(
        self,
        path: Path | str,
        detail: str,
        check: Callable[[], object],
        standing_for: Sequence[Path] = (),
    ) -> None:
        super().__init__(f"{path}: {detail}; remove the file and run again")
        self.path, self.detail = Path(path), detail
        self.check, self.standing_for = check, tuple(standing_for)


class ProtocolError(UserError):
    """Folds, roles or training sizes cannot be made as asked, or would leak."""
