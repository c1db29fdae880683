# Tables and figures over all cells.
rule make_tables:
    input:
        runs_of_cells(rules.train.output.run),
        runs_of_cells(rules.train.output.predictions),
        utterances=rules.label_corpus.output.utterances,
        checks=rules.check_protocol.output,
    output:
        multiext(
            f"{OUT}/tables/",
            "runs.parquet",
            "runs.csv",
            "scores.parquet",
            "confusion.parquet",
            "confusion.csv",
            "trials.parquet",
            "trials.csv",
            "layer_weights.parquet",
            "layer_weights.csv",
            "predictions.parquet",
        ),
        scores_csv=report(
            f"{OUT}/tables/scores.csv",
            caption="../report/scores.rst",
            category="Scores",
            labels={"table": "scores"},
        ),
    log:
        f"{OUT}/logs/make_tables.log",
    benchmark:
        f"{OUT}/benchmarks/make_tables.tsv"
    conda:
        ENVIRONMENT
    params:
        study=STUDY.study,
        corpus=corpus_name(),
        cells=canonical_json(CELLS),
        protocol=STUDY.protocol_slice(),
        runs=lambda wildcards: f"{OUT}/runs",
        folder=lambda wildcards, output: os.path.dirname(output.scores_csv),
        code=code_of("make_tables.py"),
    message:
        "gather all runs into tables"
    shell:
        'python "$EMOSCALE_SCRIPTS"/make_tables.py --study {params.study:q} --corpus {params.corpus:q}'
        " --runs {params.runs:q} --cells {params.cells:q} --protocol {params.protocol:q}"
        " --utterances {input.utterances:q} --checks {input.checks:q} --output {params.folder:q} > {log:q} 2>&1"


rule draw_figures:
    input:
        scores=f"{OUT}/tables/scores.parquet",
        confusion=f"{OUT}/tables/confusion.parquet",
        layer_weights=f"{OUT}/tables/layer_weights.parquet",
    output:
        report(
            f"{OUT}/figures/learning_curves.html",
            caption="../report/learning_curves.rst",
            category="Figures",
            labels={"figure": "learning curves", "form": "interactive"},
        ),
        report(
            f"{OUT}/figures/learning_curves.svg",
            caption="../report/learning_curves.rst",
            category="Figures",
            labels={"figure": "learning curves", "form": "drawing"},
        ),
        report(
            f"{OUT}/figures/confusion.html",
            caption="../report/confusion.rst",
            category="Figures",
            labels={"figure": "confusion", "form": "interactive"},
        ),
        report(
            f"{OUT}/figures/confusion.svg",
            caption="../report/confusion.rst",
            category="Figures",
            labels={"figure": "confusion", "form": "drawing"},
        ),
        report(
            f"{OUT}/figures/layer_weights.html",
            caption="../report/layer_weights.rst",
            category="Figures",
            labels={"figure": "layer weights", "form": "interactive"},
        ),
        report(
            f"{OUT}/figures/layer_weights.svg",
            caption="../report/layer_weights.rst",
            category="Figures",
            labels={"figure": "layer weights", "form": "drawing"},
        ),
    log:
        f"{OUT}/logs/draw_figures.log",
    benchmark:
        f"{OUT}/benchmarks/draw_figures.tsv"
    group:
        RESULTS_GROUP
    conda:
        ENVIRONMENT
    params:
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        code=code_of("draw_figures.py"),
    message:
        "draw learning curves, confusion matrices and layer weights"
    shell:
        'python "$EMOSCALE_SCRIPTS"/draw_figures.py --scores {input.scores:q} --confusion {input.confusion:q}'
        " --layer-weights {input.layer_weights:q}"
        " --output {params.folder:q} > {log:q} 2>&1"
