"""Transcripts of new recordings, from a table or from a text file next to each recording."""

from __future__ import annotations

from pathlib import Path

from emoscale.prediction.recording_table import RecordingTable
from emoscale.runtime.errors import CorpusError
from emoscale.runtime.text_table import read_text


class Transcripts:
    """Source of the transcripts of recordings.

    Without a table, the transcript of a recording is the text file with its name and the suffix
    .txt. An empty transcript means that no words are spoken.

    Parameters
    ----------
    table : Path or None
        Table with the columns file and transcript (see `RecordingTable`).

    Raises
    ------
    CorpusError
        If the table cannot be read.
    """

    def __init__(self, table: Path | None = None) -> None:
        self._table = None if table is None else RecordingTable(table, "transcript")

    def find(self, file: Path) -> str:
        """Return the transcript of a recording.

        Parameters
        ----------
        file : Path
            The recording.

        Returns
        -------
        str
            The transcript.

        Raises
        ------
        CorpusError
            If the recording has no transcript.
        """
        if self._table is not None:
            transcript = self._table.find(file)
            if transcript is None:
                raise CorpusError(
                    f"{file}: has no transcript, which the model needs; add a row for it to "
                    f"{self._table.path}"
                )
            return transcript
        text_file = file.with_suffix(".txt")
        if not text_file.is_file():
            raise CorpusError(
                f"{file}: has no transcript, which the model needs; write it to {text_file}, or "
                "name a table with --transcripts"
            )
        lines = read_text(text_file, "name a table with --transcripts").splitlines()
        return " ".join(line.strip() for line in lines if line.strip())
