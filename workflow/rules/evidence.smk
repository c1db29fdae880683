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
