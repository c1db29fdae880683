# The audit of the corpus, before any training. Measurements of the audio do not depend on labels.
rule measure_shard:
    input:
        generated_corpus(),
        shard=rules.read_shard.output.recordings,
    output:
        f"{OUT}/corpus/measured/{{shard}}.parquet",
    log:
        f"{OUT}/logs/measure_shard/{{shard}}.log",
    benchmark:
        f"{OUT}/benchmarks/measure_shard/{{shard}}.tsv"
    group:
        READING_GROUP
    conda:
        ENVIRONMENT
    resources:
        runtime=reading_minutes,
    params:
        root=corpus_root,
        code=code_of("measure_shard.py"),
    message:
        "measure every recording of shard {wildcards.shard}"
    shell:
        'python "$EMOSCALE_SCRIPTS"/measure_shard.py --root {params.root:q} --shard {input.shard:q}'
        " --output {output:q} > {log:q} 2>&1"


rule find_duplicates:
    input:
        generated_corpus(),
        shards=expand(rules.read_shard.output.recordings, shard=STUDY.shard_names()),
        measured=expand(rules.measure_shard.output, shard=STUDY.shard_names()),
    output:
        acoustics=f"{OUT}/corpus/acoustics.parquet",
        pairs=f"{OUT}/corpus/same_recordings.parquet",
        duplicates=f"{OUT}/corpus/duplicates.parquet",
    log:
        f"{OUT}/logs/find_duplicates.log",
    benchmark:
        f"{OUT}/benchmarks/find_duplicates.tsv"
    conda:
        ENVIRONMENT
    resources:
        runtime=corpus_minutes,
    params:
        root=corpus_root,
        code=code_of("find_duplicates.py"),
    message:
        "find copies of recordings"
    shell:
        'python "$EMOSCALE_SCRIPTS"/find_duplicates.py --root {params.root:q}'
        " --acoustics {output.acoustics:q} --pairs {output.pairs:q}"
        " --duplicates {output.duplicates:q} --threads {threads}"
        " {input.shards:q} {input.measured:q} > {log:q} 2>&1"


rule audit_corpus:
    input:
        utterances=rules.label_corpus.output.utterances,
        texts=rules.gather_texts.output,
        acoustics=rules.find_duplicates.output.acoustics,
        pairs=rules.find_duplicates.output.pairs,
    output:
        table=f"{OUT}/corpus/audit.parquet",
        csv=f"{OUT}/corpus/audit.csv",
        page=f"{OUT}/audit.html",
    log:
        f"{OUT}/logs/audit_corpus.log",
    benchmark:
        f"{OUT}/benchmarks/audit_corpus.tsv"
    # Early, so that its page exists when a check ends the run.
    priority: 200
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("audit"),
        corpus_name=corpus_name(STUDY.corpus),
        code=code_of("audit_corpus.py"),
    message:
        "audit the corpus"
    shell:
        'python "$EMOSCALE_SCRIPTS"/audit_corpus.py --settings {params.settings:q}'
        " --corpus-name {params.corpus_name:q} --utterances {input.utterances:q} --texts {input.texts:q}"
        " --acoustics {input.acoustics:q} --pairs {input.pairs:q} --output {output.table:q}"
        " --page {output.page:q} > {log:q} 2>&1"
