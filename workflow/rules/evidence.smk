# Evidence: statistics, efficiency, slices, robustness and the report, from the tables of all cells.


rule compare_experiments:
    input:
        scores=f"{OUT}/tables/scores.parquet",
        predictions=f"{OUT}/tables/predictions.parquet",
        utterances=rules.label_corpus.output.utterances,
    output:
        table=f"{OUT}/tables/comparisons.parquet",
        csv=report(
            f"{OUT}/tables/comparisons.csv",
            caption="../report/comparisons.rst",
            category="Scores",
            labels={"table": "comparisons"},
        ),
        figures=[
            report(
                f"{OUT}/figures/comparisons.{form}",
                caption="../report/comparisons.rst",
                category="Figures",
                labels={"figure": "comparisons", "form": words},
            )
            for form, words in (("html", "interactive"), ("svg", "drawing"))
        ],
    log:
        f"{OUT}/logs/compare_experiments.log",
    benchmark:
        f"{OUT}/benchmarks/compare_experiments.tsv"
    group:
        RESULTS_GROUP
    conda:
        ENVIRONMENT
    params:
        seed=STUDY.seed,
        figures=lambda wildcards, output: [f"--figure={path}" for path in output.figures],
        code=code_of("compare_experiments.py"),
    message:
        "compare all pairs of experiments"
    shell:
        'python "$EMOSCALE_SCRIPTS"/compare_experiments.py --scores {input.scores:q}'
        " --predictions {input.predictions:q} --utterances {input.utterances:q} --seed {params.seed}"
        " --table {output.table:q} {params.figures:q} > {log:q} 2>&1"


# Scores by groups of the tested utterances, and what models lose on changed audio.
rule slice_scores:
    input:
        predictions=f"{OUT}/tables/predictions.parquet",
        scores=f"{OUT}/tables/scores.parquet",
        utterances=rules.label_corpus.output.utterances,
        acoustics=rules.find_duplicates.output.acoustics,
        folds=expand(rules.make_fold.output, fold=STUDY.fold_names()),
    output:
        multiext(
            f"{OUT}/tables/",
            "slices.parquet",
            "slices.csv",
            "slice_gaps.parquet",
            "slice_gaps.csv",
        ),
    log:
        f"{OUT}/logs/slice_scores.log",
    benchmark:
        f"{OUT}/benchmarks/slice_scores.tsv"
    group:
        RESULTS_GROUP
    conda:
        ENVIRONMENT
    params:
        labels=STUDY.labels_slice(),
        seed=STUDY.seed,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        code=code_of("slice_scores.py"),
    message:
        "score every experiment by groups of the tested utterances"
    shell:
        'python "$EMOSCALE_SCRIPTS"/slice_scores.py --predictions {input.predictions:q}'
        " --scores {input.scores:q} --utterances {input.utterances:q} --labels {params.labels:q}"
        " --acoustics {input.acoustics:q} --seed {params.seed} --output {params.folder:q} {input.folds:q}"
        " > {log:q} 2>&1"


rule draw_slices:
    input:
        slices=f"{OUT}/tables/slices.parquet",
        scores=f"{OUT}/tables/scores.parquet",
    output:
        report(
            f"{OUT}/figures/slices.html",
            caption="../report/slices.rst",
            category="Figures",
            labels={"figure": "slices", "form": "interactive"},
        ),
        report(
            f"{OUT}/figures/slices.svg",
            caption="../report/slices.rst",
            category="Figures",
            labels={"figure": "slices", "form": "drawing"},
        ),
    log:
        f"{OUT}/logs/draw_slices.log",
    benchmark:
        f"{OUT}/benchmarks/draw_slices.tsv"
    group:
        RESULTS_GROUP
    conda:
        ENVIRONMENT
    params:
        code=code_of("draw_slices.py"),
    message:
        "draw the scores of groups"
    shell:
        'python "$EMOSCALE_SCRIPTS"/draw_slices.py --slices {input.slices:q} --scores {input.scores:q}'
        " {output:q} > {log:q} 2>&1"


ROBUSTNESS_RESULTS = []

if STUDY.robustness_sizes():

    include: "robustness.smk"
