# Everything on one page.

from emoscale.runtime.provenance import file_sha256

# What the report shows; a table that is not here is said to be no part of the study.
REPORTED = [
    f"{OUT}/corpus/utterances.parquet",
    f"{OUT}/corpus/rejected.parquet",
    *expand(
        f"{OUT}/tables/{{table}}.parquet",
        table=["scores", "runs", "confusion", "layer_weights", "trials", "comparisons"],
    ),
    *expand(f"{OUT}/tables/{{table}}.parquet", table=["slices", "slice_gaps"]),
    *expand(f"{OUT}/tables/{{table}}.parquet", table=["efficiency", "forecast", "published"]),
    *([f"{OUT}/tables/robustness.parquet"] if ROBUSTNESS_RESULTS else []),
    rules.audit_corpus.output.table,
]
# The page's template, style and program are not Python: they count by their bytes.
PAGE = PROJECT / "workflow" / "emoscale" / "reporting" / "report"


rule write_report:
    input:
        tables=REPORTED,
        checks=rules.check_protocol.output,
    output:
        f"{OUT}/report.html",
    log:
        f"{OUT}/logs/write_report.log",
    benchmark:
        f"{OUT}/benchmarks/write_report.tsv"
    group:
        RESULTS_GROUP
    conda:
        ENVIRONMENT
    params:
        settings=canonical_json(
            {
                "labels": json.loads(STUDY.labels_slice()),
                "protocol": json.loads(STUDY.protocol_slice()),
            }
        ),
        page=[file_sha256(PAGE / f"page.{form}") for form in ("html", "css", "js")],
        code=code_of("write_report.py"),
    message:
        "write the report"
    shell:
        'python "$EMOSCALE_SCRIPTS"/write_report.py --settings {params.settings:q}'
        " --checks {input.checks:q} --output {output:q} {input.tables:q} > {log:q} 2>&1"
