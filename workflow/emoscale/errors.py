"""The errors that a person can mend: each message has the place and the way out."""

from __future__ import annotations


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


class ProtocolError(UserError):
    """Folds, roles or training sizes cannot be made as asked, or would leak."""
