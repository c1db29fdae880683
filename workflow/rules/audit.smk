# Before any training: what is wrong in the corpus. The audio is measured once, whatever its labels.
rule measure_acoustics:
    input:
        generated_corpus(),
        recordings=rules.read_corpus.output.recordings,
    output:
        acoustics=f"{OUT}/corpus/acoustics.parquet",
        pairs=f"{OUT}/corpus/same_recordings.parquet",
        # Folds are checked with it, and trainings depend on folds: it holds no measured numbers.
        duplicates=f"{OUT}/corpus/duplicates.parquet",
    log:
        f"{OUT}/logs/measure_acoustics.log",
    benchmark:
        f"{OUT}/benchmarks/measure_acoustics.tsv"
    conda:
        ENVIRONMENT
    threads: 2
    params:
        root=lambda wildcards: STUDY.corpus.root,
        code=code_of("measure_acoustics.py"),
    message:
        "measure every recording, and find those that stand under several keys"
    shell:
        'python "$EMOSCALE_SCRIPTS"/measure_acoustics.py --root {params.root:q}'
        " --recordings {input.recordings:q} --acoustics {output.acoustics:q}"
        " --pairs {output.pairs:q} --duplicates {output.duplicates:q} --threads {threads}"
        " > {log:q} 2>&1"


rule audit_corpus:
    input:
        utterances=rules.label_corpus.output.utterances,
        acoustics=rules.measure_acoustics.output.acoustics,
        pairs=rules.measure_acoustics.output.pairs,
    output:
        table=f"{OUT}/corpus/audit.parquet",
        csv=report(
            f"{OUT}/corpus/audit.csv",
            caption="../report/audit.rst",
            category="Corpus",
            labels={"table": "audit"},
        ),
        page=f"{OUT}/audit.html",
    log:
        f"{OUT}/logs/audit_corpus.log",
    benchmark:
        f"{OUT}/benchmarks/audit_corpus.tsv"
    # What it finds is there to be read when a check ends the run.
    priority: 200
    conda:
        ENVIRONMENT
    params:
        settings=STUDY.audit_slice(),
        corpus=corpus_name(),
        code=code_of("audit_corpus.py"),
    message:
        "audit the corpus"
    shell:
        'python "$EMOSCALE_SCRIPTS"/audit_corpus.py --settings {params.settings:q}'
        " --corpus {params.corpus:q} --utterances {input.utterances:q}"
        " --acoustics {input.acoustics:q} --pairs {input.pairs:q} --output {output.table:q}"
        " --page {output.page:q} > {log:q} 2>&1"
