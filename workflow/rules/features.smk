# Every representation of every shard, and an index a representation.
rule extract_features:
    input:
        generated_corpus(),
        shard=f"{OUT}/corpus/shards/{{shard}}.parquet",
    output:
        f"{OUT}/features/{{representation}}/{{shard}}.h5",
    log:
        f"{OUT}/logs/extract_features/{{representation}}/{{shard}}.log",
    benchmark:
        f"{OUT}/benchmarks/extract_features/{{representation}}/{{shard}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=representation_settings,
        root=lambda wildcards: STUDY.corpus.root,
        checkpoint=representation_checkpoint,
        code=representation_code,
    message:
        "{wildcards.representation}: extract shard {wildcards.shard}"
    shell:
        'python "$EMOSCALE_SCRIPTS"/extract_features.py --settings {params.settings:q}'
        " --root {params.root:q} --shard {input.shard:q} --output {output:q} --threads {threads}"
        " > {log:q} 2>&1"


rule index_features:
    input:
        expand(
            f"{OUT}/features/{{{{representation}}}}/{{shard}}.h5",
            shard=STUDY.shard_names(),
        ),
    output:
        f"{OUT}/features/{{representation}}/index.parquet",
    log:
        f"{OUT}/logs/index_features/{{representation}}.log",
    benchmark:
        f"{OUT}/benchmarks/index_features/{{representation}}.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code_of("index_features.py"),
    message:
        "{wildcards.representation}: verify all shards"
    shell:
        'python "$EMOSCALE_SCRIPTS"/index_features.py --output {output:q} {input:q} > {log:q} 2>&1'
