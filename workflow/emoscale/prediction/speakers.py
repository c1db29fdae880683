"""Speakers of new recordings, for runs that normalise features by speaker."""

from __future__ import annotations

from pathlib import Path

from emoscale.prediction.recording_table import RecordingTable
from emoscale.runtime.errors import CorpusError, UserError
from emoscale.training.saved_run import SavedRun


class Speakers:
    """Source of the speakers of recordings.

    Parameters
    ----------
    table : Path or None
        Table with the columns file and speaker (see `RecordingTable`); None: all recordings are of
        one speaker.

    Raises
    ------
    CorpusError
        If the table cannot be read.
    """

    def __init__(self, table: Path | None = None) -> None:
        self._table = None if table is None else RecordingTable(table, "speaker")

    def find(self, file: Path) -> str:
        """Return the speaker of a recording.

        Parameters
        ----------
        file : Path
            The recording.

        Returns
        -------
        str
            The speaker.

        Raises
        ------
        CorpusError
            If the recording has no speaker.
        """
        if self._table is None:
            return "of these recordings"
        speaker = self._table.find(file)
        if not speaker:
            raise CorpusError(
                f"{file}: has no speaker, by whom its features are normalised; add a row for it to "
                f"{self._table.path}"
            )
        return speaker


def speakers_for(run: SavedRun, table: Path | None, one_speaker: bool) -> Speakers | None:
    """Return the source of the speakers that a run needs.

    Parameters
    ----------
    run : SavedRun
        The run.
    table : Path or None
        Table with the columns file and speaker.
    one_speaker : bool
        Whether all recordings are of one speaker.

    Returns
    -------
    Speakers or None
        The speakers; None if the run does not normalise by speaker.

    Raises
    ------
    UserError
        If the run needs speakers and there is no source of them, or there are two.
    """
    if run.normalisation != "speaker":
        return None
    if (table is not None) == one_speaker:
        raise UserError(
            f"{run.name} normalises features by speaker, from all recordings of the speaker: name "
            "a table with the columns file and speaker with --speakers, or else add --one-speaker "
            "if all recordings are of one speaker"
        )
    return Speakers(table)
