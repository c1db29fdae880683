# Tables from the runs of all cells: scores, comparisons, slices, human ceiling, label efficiency,
# forecasts.
rule make_tables:
    input:
        runs=files_of_cells(rules.train.output.run, CELLS["experiments"]),
        predictions=files_of_cells(rules.train.output.predictions, CELLS["experiments"]),
        utterances=rules.label_corpus.output.utterances,
        checks=rules.check_protocol.output,
        overlaps=expand(rules.compare_speech.output, checkpoint=COMPARED),
    output:
        f"{OUT}/tables/runs.csv",
        f"{OUT}/tables/trials.csv",
        f"{OUT}/tables/scores.csv",
        f"{OUT}/tables/confusion.csv",
        f"{OUT}/tables/layer_weights.csv",
        runs=f"{OUT}/tables/runs.parquet",
        trials=f"{OUT}/tables/trials.parquet",
        scores=f"{OUT}/tables/scores.parquet",
        confusion=f"{OUT}/tables/confusion.parquet",
        layer_weights=f"{OUT}/tables/layer_weights.parquet",
        confusions=f"{OUT}/tables/confusion_by_speaker.parquet",
        predictions=f"{OUT}/tables/predictions.parquet",
    log:
        f"{OUT}/logs/make_tables.log",
    benchmark:
        f"{OUT}/benchmarks/make_tables.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=tables_megabytes,
    params:
        study=STUDY.study,
        corpus_name=corpus_name(STUDY.corpus),
        cells=canonical_json(CELLS),
        protocol=settings_of("protocol"),
        runs=lambda wildcards: f"{OUT}/runs",
        folder=folder_of("scores"),
        overlaps=options_for_files("overlap", "overlaps"),
        code=code_of("make_tables.py"),
    message:
        "collect all runs into tables"
    shell:
        "printf %s {params.cells:q}"
        ' | python "$EMOSCALE_SCRIPTS"/make_tables.py --study {params.study:q}'
        " --corpus-name {params.corpus_name:q} --runs {params.runs:q} --cells - --protocol {params.protocol:q}"
        " --utterances {input.utterances:q} --checks {input.checks:q} {params.overlaps:q}"
        " --output {params.folder:q} > {log:q} 2>&1"


rule compare_experiments:
    input:
        scores=rules.make_tables.output.scores,
        confusions=rules.make_tables.output.confusions,
    output:
        f"{OUT}/tables/comparisons.csv",
        f"{OUT}/tables/comparisons_by_size.csv",
        table=f"{OUT}/tables/comparisons.parquet",
        by_size=f"{OUT}/tables/comparisons_by_size.parquet",
    log:
        f"{OUT}/logs/compare_experiments.log",
    benchmark:
        f"{OUT}/benchmarks/compare_experiments.tsv"
    conda:
        ENVIRONMENT
    params:
        reference=STUDY.evidence.reference or "",
        folder=folder_of("table"),
        code=code_of("compare_experiments.py"),
    message:
        "compare all pairs of experiments"
    shell:
        'python "$EMOSCALE_SCRIPTS"/compare_experiments.py --scores {input.scores:q}'
        " --confusions {input.confusions:q} --reference={params.reference:q}"
        " --output {params.folder:q} > {log:q} 2>&1"


rule slice_scores:
    input:
        predictions=rules.make_tables.output.predictions,
        scores=rules.make_tables.output.scores,
        utterances=rules.label_corpus.output.utterances,
        texts=rules.gather_texts.output,
        acoustics=rules.find_duplicates.output.acoustics,
        folds=expand(rules.make_fold.output, fold=STUDY.fold_names()),
    output:
        f"{OUT}/tables/slices.csv",
        f"{OUT}/tables/slice_gaps.csv",
        slices=f"{OUT}/tables/slices.parquet",
        gaps=f"{OUT}/tables/slice_gaps.parquet",
    log:
        f"{OUT}/logs/slice_scores.log",
    benchmark:
        f"{OUT}/benchmarks/slice_scores.tsv"
    conda:
        ENVIRONMENT
    params:
        labels=settings_of("labels"),
        seed=STUDY.seed,
        folder=folder_of("slices"),
        code=code_of("slice_scores.py"),
    message:
        "score every experiment by groups of test utterances"
    shell:
        'python "$EMOSCALE_SCRIPTS"/slice_scores.py --predictions {input.predictions:q}'
        " --scores {input.scores:q} --utterances {input.utterances:q} --texts {input.texts:q}"
        " --labels {params.labels:q} --acoustics {input.acoustics:q} --seed {params.seed}"
        " --output {params.folder:q} {input.folds:q} > {log:q} 2>&1"


# Only with protocol.fold_unit: corpus_pairs.
rule score_corpus_pairs:
    input:
        predictions=rules.make_tables.output.predictions,
        runs=rules.make_tables.output.runs,
        utterances=rules.label_corpus.output.utterances,
        folds=expand(rules.make_fold.output, fold=STUDY.fold_names()),
    output:
        table=f"{OUT}/tables/corpus_pairs.parquet",
        csv=f"{OUT}/tables/corpus_pairs.csv",
    log:
        f"{OUT}/logs/score_corpus_pairs.log",
    benchmark:
        f"{OUT}/benchmarks/score_corpus_pairs.tsv"
    conda:
        ENVIRONMENT
    params:
        seed=STUDY.seed,
        code=code_of("score_corpus_pairs.py"),
    message:
        "score every pair of a training and a test corpus"
    shell:
        'python "$EMOSCALE_SCRIPTS"/score_corpus_pairs.py --predictions {input.predictions:q}'
        " --runs {input.runs:q} --utterances {input.utterances:q} --seed {params.seed}"
        " --output {output.table:q} {input.folds:q} > {log:q} 2>&1"


rule measure_ceiling:
    input:
        predictions=rules.make_tables.output.predictions,
        scores=rules.make_tables.output.scores,
        utterances=rules.label_corpus.output.utterances,
    output:
        f"{OUT}/tables/ceiling.csv",
        table=f"{OUT}/tables/ceiling.parquet",
    log:
        f"{OUT}/logs/measure_ceiling.log",
    benchmark:
        f"{OUT}/benchmarks/measure_ceiling.tsv"
    conda:
        ENVIRONMENT
    params:
        labels=settings_of("labels"),
        seed=STUDY.seed,
        folder=folder_of("table"),
        code=code_of("measure_ceiling.py"),
    message:
        "score one more rater, where the corpus has votes"
    shell:
        'python "$EMOSCALE_SCRIPTS"/measure_ceiling.py --predictions {input.predictions:q}'
        " --scores {input.scores:q} --utterances {input.utterances:q} --labels {params.labels:q}"
        " --seed {params.seed} --output {params.folder:q} > {log:q} 2>&1"


rule measure_efficiency:
    input:
        scores=rules.make_tables.output.scores,
        confusions=rules.make_tables.output.confusions,
        comparisons=rules.compare_experiments.output.table,
    output:
        f"{OUT}/tables/efficiency.csv",
        f"{OUT}/tables/forecast.csv",
        f"{OUT}/tables/published.csv",
        efficiency=f"{OUT}/tables/efficiency.parquet",
        forecast=f"{OUT}/tables/forecast.parquet",
        published=f"{OUT}/tables/published.parquet",
    log:
        f"{OUT}/logs/measure_efficiency.log",
    benchmark:
        f"{OUT}/benchmarks/measure_efficiency.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("evidence"),
        folder=folder_of("forecast"),
        code=code_of("measure_efficiency.py"),
    message:
        "compute label efficiency and forecasts"
    shell:
        "printf %s {params.settings:q}"
        ' | python "$EMOSCALE_SCRIPTS"/measure_efficiency.py --settings -'
        " --scores {input.scores:q} --confusions {input.confusions:q}"
        " --comparisons {input.comparisons:q} --output {params.folder:q} > {log:q} 2>&1"
