"""Which published corpus a folder is a copy of."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from emoscale.config.corpus import RELEASES, ReleaseCorpus
from emoscale.corpus.readers import READERS, CorpusManifest
from emoscale.corpus.release import Release
from emoscale.runtime.errors import CorpusError

_MIN_SHARE = 0.5


@dataclass(frozen=True)
class Match:
    """What the reader of a published corpus makes of a folder."""

    settings: ReleaseCorpus
    """Settings that read it; with the first label where utterances have several."""

    release: Release
    """The corpus."""

    manifest: CorpusManifest
    """Its utterances in the folder."""

    @property
    def rejected(self) -> Counter[str]:
        """Number of rejected entries by reason, without copies of the same recording."""
        reasons = Counter(row.reason for row in self.manifest.rejected)
        return Counter({key: n for key, n in reasons.items() if key not in _HARMLESS})

    @property
    def share(self) -> float:
        """Share of the folder's entries that are utterances of the corpus."""
        usable = len(self.manifest.utterances)
        return usable / (usable + self.rejected.total())

    @property
    def is_copy(self) -> bool:
        """Whether the folder is a copy of the corpus: most of its entries are utterances of it."""
        return self.share >= _MIN_SHARE

    @property
    def is_complete(self) -> bool:
        """Whether it has the utterances of a complete copy, by their counts."""
        others = any(row.reason == "other counts" for row in self.manifest.rejected)
        return bool(self.release.counts) and not others


_HARMLESS = frozenset({"duplicate key", "other counts", "missing", "song or video"})


def matching_releases(root: Path) -> list[Match]:
    """Read a folder with the reader of every published corpus.

    Parameters
    ----------
    root : Path
        The folder.

    Returns
    -------
    list of Match
        Readers that list at least one utterance, those of most utterances first.
    """
    matches = []
    for name in RELEASES:
        release: Release = importlib.import_module(READERS[name]).RELEASE
        label = release.labels[0] if release.labels else None
        settings = ReleaseCorpus(reader=name, root=str(root), label=label)
        try:
            matches.append(Match(settings, release, release.read(settings)))
        except CorpusError:
            continue  # not this corpus
    return sorted(matches, key=lambda each: (-len(each.manifest.utterances), each.settings.reader))
