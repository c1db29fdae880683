# Figures and the report.
from emoscale.runtime.provenance import file_sha256

PAIRS = (
    [rules.score_corpus_pairs.output.table] if STUDY.protocol.fold_unit == "corpus_pairs" else []
)
PRETRAINING = [rules.collect_pretraining.output.table] if USED else []
ROBUSTNESS = [rules.score_robustness.output.table] if STUDY.robustness_sizes() else []


rule draw_figures:
    input:
        rules.make_tables.output.scores,
        rules.make_tables.output.confusion,
        rules.make_tables.output.layer_weights,
        rules.compare_experiments.output.table,
        rules.slice_scores.output.slices,
        rules.measure_ceiling.output.table,
        rules.measure_efficiency.output.efficiency,
        rules.measure_efficiency.output.forecast,
        PAIRS,
        ROBUSTNESS,
        PRETRAINING,
    output:
        expand(
            f"{OUT}/figures/{{figure}}.{{form}}",
            figure=[
                *("learning_curves", "confusion", "layer_weights", "comparisons", "slices"),
                *("efficiency", "forecast"),
                *(["corpus_pairs"] if PAIRS else []),
                *(["robustness"] if ROBUSTNESS else []),
                *(["pretraining"] if PRETRAINING else []),
            ],
            form=["html", "svg"],
        ),
    log:
        f"{OUT}/logs/draw_figures.log",
    benchmark:
        f"{OUT}/benchmarks/draw_figures.tsv"
    conda:
        ENVIRONMENT
    params:
        folder=untracked(lambda wildcards, input, output: os.path.dirname(output[0])),
        code=code_of("draw_figures.py"),
    message:
        "draw all figures"
    shell:
        'python "$EMOSCALE_SCRIPTS"/draw_figures.py --output {params.folder:q} {input:q} > {log:q} 2>&1'


# The template, style and program of the page are no Python: their bytes are tracked.
PAGE = PROJECT / "workflow" / "emoscale" / "reporting" / "report"


rule write_report:
    input:
        tables=[
            rules.label_corpus.output.utterances,
            rules.read_corpus.output.rejected,
            rules.audit_corpus.output.table,
            rules.make_tables.output.scores,
            rules.make_tables.output.runs,
            rules.make_tables.output.confusion,
            rules.make_tables.output.layer_weights,
            rules.make_tables.output.trials,
            rules.compare_experiments.output.table,
            rules.compare_experiments.output.by_size,
            rules.slice_scores.output.slices,
            rules.slice_scores.output.gaps,
            rules.measure_ceiling.output.table,
            rules.measure_efficiency.output.efficiency,
            rules.measure_efficiency.output.forecast,
            rules.measure_efficiency.output.published,
            PAIRS,
            ROBUSTNESS,
            PRETRAINING,
        ],
        checks=rules.check_protocol.output,
    output:
        f"{OUT}/report.html",
    log:
        f"{OUT}/logs/write_report.log",
    benchmark:
        f"{OUT}/benchmarks/write_report.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=tables_megabytes,
    params:
        settings=settings_of("report"),
        page=[file_sha256(PAGE / f"page.{form}") for form in ("html", "css", "js")],
        code=code_of("write_report.py"),
    message:
        "write the report"
    shell:
        "printf %s {params.settings:q}"
        ' | python "$EMOSCALE_SCRIPTS"/write_report.py --settings -'
        " --checks {input.checks:q} --output {output:q} {input.tables:q} > {log:q} 2>&1"
