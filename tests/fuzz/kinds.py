"""Every kind of input that is fuzzed, by its name."""

from __future__ import annotations

from tests.fuzz.corpora import CORPORA
from tests.fuzz.settings import SETTINGS
from tests.fuzz.sounds import SOUNDS
from tests.fuzz.stored import STORED

KINDS = {kind.name: kind for kind in (*SETTINGS, *CORPORA, *SOUNDS, *STORED)}
