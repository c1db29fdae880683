# How many labels one experiment saves over another, where its curve leads, and what was published.
rule measure_efficiency:
    input:
        scores=f"{OUT}/tables/scores.parquet",
        predictions=f"{OUT}/tables/predictions.parquet",
        utterances=rules.label_corpus.output.utterances,
    output:
        multiext(
            f"{OUT}/tables/",
            "efficiency.parquet",
            "efficiency.csv",
            "forecast.parquet",
            "forecast.csv",
            "published.parquet",
            "published.csv",
        ),
    log:
        f"{OUT}/logs/measure_efficiency.log",
    benchmark:
        f"{OUT}/benchmarks/measure_efficiency.tsv"
    group:
        RESULTS_GROUP
    conda:
        ENVIRONMENT
    params:
        settings=STUDY.evidence_slice(),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        code=code_of("measure_efficiency.py"),
    message:
        "count the labels that are saved, and forecast further sizes"
    shell:
        'python "$EMOSCALE_SCRIPTS"/measure_efficiency.py --settings {params.settings:q}'
        " --scores {input.scores:q} --predictions {input.predictions:q}"
        " --utterances {input.utterances:q} --output {params.folder:q} > {log:q} 2>&1"


rule draw_evidence:
    input:
        scores=f"{OUT}/tables/scores.parquet",
        efficiency=f"{OUT}/tables/efficiency.parquet",
        forecast=f"{OUT}/tables/forecast.parquet",
    output:
        report(
            f"{OUT}/figures/efficiency.html",
            caption="../report/efficiency.rst",
            category="Figures",
            labels={"figure": "efficiency", "form": "interactive"},
        ),
        report(
            f"{OUT}/figures/efficiency.svg",
            caption="../report/efficiency.rst",
            category="Figures",
            labels={"figure": "efficiency", "form": "drawing"},
        ),
        report(
            f"{OUT}/figures/forecast.html",
            caption="../report/forecast.rst",
            category="Figures",
            labels={"figure": "forecast", "form": "interactive"},
        ),
        report(
            f"{OUT}/figures/forecast.svg",
            caption="../report/forecast.rst",
            category="Figures",
            labels={"figure": "forecast", "form": "drawing"},
        ),
    log:
        f"{OUT}/logs/draw_evidence.log",
    benchmark:
        f"{OUT}/benchmarks/draw_evidence.tsv"
    group:
        RESULTS_GROUP
    conda:
        ENVIRONMENT
    params:
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        code=code_of("draw_evidence.py"),
    message:
        "draw the labels that are saved, and forecasts"
    shell:
        'python "$EMOSCALE_SCRIPTS"/draw_evidence.py --scores {input.scores:q}'
        " --efficiency {input.efficiency:q} --forecast {input.forecast:q}"
        " --output {params.folder:q} > {log:q} 2>&1"
