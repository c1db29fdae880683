# Roles and training orders of each fold, and the checks before any training.
rule make_fold:
    input:
        utterances=rules.label_corpus.output.utterances,
        duplicates=rules.find_duplicates.output.duplicates,
        # Texts only with text_disjoint: otherwise a corrected transcript changes no fold.
        texts=rules.gather_texts.output if STUDY.protocol.text_disjoint else [],
    output:
        f"{OUT}/protocol/{{fold}}.parquet",
    log:
        f"{OUT}/logs/make_fold/{{fold}}.log",
    benchmark:
        f"{OUT}/benchmarks/make_fold/{{fold}}.tsv"
    conda:
        ENVIRONMENT
    params:
        protocol=settings_of("protocol"),
        fold_file=fold_file_digest(),
        texts=options_for_files("texts", "texts"),
        code=code_of("make_fold.py"),
    message:
        "{wildcards.fold}: assign roles and training orders"
    shell:
        'python "$EMOSCALE_SCRIPTS"/make_fold.py --protocol {params.protocol:q} --fold {wildcards.fold}'
        " --utterances {input.utterances:q} --duplicates {input.duplicates:q} {params.texts:q}"
        " --output {output:q} > {log:q} 2>&1"


rule check_protocol:
    input:
        utterances=rules.label_corpus.output.utterances,
        texts=rules.gather_texts.output,
        duplicates=rules.find_duplicates.output.duplicates,
        audit=rules.audit_corpus.output.table,
        folds=expand(rules.make_fold.output, fold=STUDY.fold_names()),
    output:
        f"{OUT}/protocol/checks.json",
    log:
        f"{OUT}/logs/check_protocol.log",
    benchmark:
        f"{OUT}/benchmarks/check_protocol.tsv"
    # Early, because a size that some fold lacks ends the run here. It is no input of trainings (each
    # fold is checked when it is made), because a new size would then train all sizes again, and
    # `ancient` would hide other changes from Snakemake (docs/engineers/decisions.md).
    priority: 100
    conda:
        ENVIRONMENT
    params:
        protocol=settings_of("protocol"),
        sizes=settings_of("sizes"),
        fold_file=fold_file_digest(),
        code=code_of("check_protocol.py"),
    message:
        "check the protocol before anything is trained"
    shell:
        'python "$EMOSCALE_SCRIPTS"/check_protocol.py --protocol {params.protocol:q}'
        " --sizes {params.sizes:q} --utterances {input.utterances:q} --texts {input.texts:q}"
        " --duplicates {input.duplicates:q} --audit {input.audit:q} --output {output:q}"
        " {input.folds:q} > {log:q} 2>&1"
