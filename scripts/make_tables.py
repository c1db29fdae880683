"""Collect the runs of a study into its tables."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import polars as pl

from emoscale.config import parse_settings
from emoscale.config.protocol import SeededProtocolSettings
from emoscale.evaluation.layer_weights import LAYER_WEIGHTS
from emoscale.evaluation.runs import collect_runs, runs_schema, study_predictions_schema
from emoscale.evaluation.scores import (
    CONFUSION,
    CONFUSION_BY_SPEAKER,
    confusion_table,
    score_table,
    scores_schema,
)
from emoscale.evaluation.speakers import confusion_by_speaker
from emoscale.evaluation.trials import TRIALS
from emoscale.pretraining.overlap import overlap_note
from emoscale.runtime.command import (
    file_option,
    json_option,
    protocol_option,
    report_user_errors,
)
from emoscale.tables.parquet import (
    read_table,
    table_provenance,
    write_csv,
    write_parts,
    write_table,
)
from emoscale.tables.schemas import UTTERANCES
from emoscale.training.run_record import RECORD, CellName, read_run_record


@click.command(help=__doc__)
@click.option("--study", required=True, help="Name of the study.")
@click.option("--corpus-name", required=True, help="Name of the corpus in the tables.")
@file_option("--runs", "Folder of all runs.")
@json_option("--cells", 'JSON: {"experiments": {NAME: [SIZE]}, "folds": []}.')
@protocol_option
@file_option("--utterances", "Utterance table.")
@file_option("--checks", "Report of the protocol checks, JSON.")
@file_option(
    "--overlap",
    "Output of compare_speech.py, in a folder of the checkpoint's name; may be repeated.",
    multiple=True,
    required=False,
)
@file_option("--output", "Folder for the tables.")
@report_user_errors
def main(
    study: str,
    corpus_name: str,
    runs: Path,
    cells: str,
    protocol: str,
    utterances: Path,
    checks: Path,
    overlap: tuple[Path, ...],
    output: Path,
) -> None:
    requested = json.loads(cells)
    settings: SeededProtocolSettings = parse_settings(
        SeededProtocolSettings, protocol, "--protocol"
    )
    groups = [
        [CellName(experiment, fold, size) for fold in requested["folds"]]
        for experiment, sizes in requested["experiments"].items()
        for size in sizes
    ]
    notes = "\n".join(json.loads(checks.read_text(encoding="utf-8"))["warnings"])
    weights_notes = {
        path.parent.name: overlap_note(json.loads(path.read_text(encoding="utf-8")))
        for path in overlap
    }
    recordings = read_table(utterances, UTTERANCES).select("utterance", "speaker", "corpus")
    speaker_of = recordings.drop("corpus")
    corpora = [corpus_name, *recordings["corpus"].unique(maintain_order=True)]
    classes = read_run_record(groups[0][0].folder(runs) / RECORD).classes
    tables: dict[str, list[pl.DataFrame]] = {
        name: []
        for name in ("runs", "scores", "confusion", "trials", "layer_weights", "by_speaker")
    }

    def predictions() -> Iterator[pl.DataFrame]:
        """Read the cells of each experiment and size, and keep all but their predictions."""
        for group in groups:
            collected = collect_runs(
                runs, group, study, corpus_name, notes, settings, classes, weights_notes, corpora
            )
            keys = {"experiment": pl.lit(group[0].experiment), "size": pl.lit(group[0].size)}
            scores = score_table(
                collected.runs, collected.predictions, speaker_of, classes, settings
            )
            for name, table in (
                ("runs", collected.runs),
                ("scores", scores),
                ("confusion", confusion_table(collected.predictions, classes)),
                ("trials", collected.trials),
                ("layer_weights", collected.layer_weights),
                (
                    "by_speaker",
                    confusion_by_speaker(collected.predictions, speaker_of).with_columns(**keys),
                ),
            ):
                tables[name].append(table)
            yield collected.predictions

    provenance = table_provenance(output, __file__, [checks, utterances, *overlap])
    write_parts(
        predictions(),
        output / "predictions.parquet",
        study_predictions_schema(classes),
        provenance,
    )
    # Each row of `runs` has the digests of its training; the other tables refer to it.
    runs_path = output / "runs.parquet"
    for name, schema in (
        ("runs", runs_schema(classes)),
        ("scores", scores_schema(classes)),
        ("confusion", CONFUSION),
        ("trials", TRIALS),
        ("layer_weights", LAYER_WEIGHTS),
    ):
        table = pl.concat(tables[name], how="vertical_relaxed")  # a column may be null throughout
        write_table(table, output / f"{name}.parquet", schema, provenance)
        write_csv(table.select(schema.names), output / f"{name}.csv")
        if name == "runs":
            provenance = table_provenance(output, __file__, [runs_path, utterances])
    write_table(
        pl.concat(tables["by_speaker"]),
        output / "confusion_by_speaker.parquet",
        CONFUSION_BY_SPEAKER,
        provenance,
    )


if __name__ == "__main__":
    main()
