# Every representation of every shard, and one index per representation.


localrules:
    fetch_checkpoint,


# Checkpoints are downloaded once, to a cache that studies share. The step needs the network, so it
# runs where Snakemake runs.
rule fetch_checkpoint:
    output:
        f"{OUT}/checkpoints/{{checkpoint}}.json",
    log:
        f"{OUT}/logs/fetch_checkpoint/{{checkpoint}}.log",
    wildcard_constraints:
        checkpoint="|".join(FETCHED) or "none",
    priority: 100  # what cannot be fetched is known before hours of work
    conda:
        ENVIRONMENT
    params:
        # Without the digest, which inputs.smk compares with that of the fetched weights.
        source=lambda wildcards: source_of(STUDY.checkpoints[wildcards.checkpoint]),
        settings=untracked(
            lambda wildcards, input, output: STUDY.checkpoint_settings(wildcards.checkpoint)
        ),
        cache=untracked(lambda *_: CACHE),
        offline=untracked(lambda *_: "--offline" if STUDY.execution.offline else "--online"),
        code=checkpoint_code,
    message:
        "{wildcards.checkpoint}: fetch the checkpoint"
    shell:
        'python "$EMOSCALE_SCRIPTS"/fetch_checkpoint.py --name {wildcards.checkpoint}'
        " --settings {params.settings:q} --cache {params.cache:q} {params.offline} --output {output:q}"
        " > {log:q} 2>&1"


rule extract_features:
    input:
        generated_corpus(),
        shard=rules.read_shard.output.recordings,
        texts=texts_of_shard,
        weights=fetched_checkpoints,
        talkers=[],
    output:
        f"{OUT}/features/{{representation}}/{{shard}}.h5",
    log:
        f"{OUT}/logs/extract_features/{{representation}}/{{shard}}.log",
    benchmark:
        f"{OUT}/benchmarks/extract_features/{{representation}}/{{shard}}.tsv"
    group:
        EXTRACTION_GROUP
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=extraction_megabytes,
        runtime=extraction_minutes,
        gpu=extraction_gpus,
        # A resource and no parameter: another device is no reason to extract again.
        device=extraction_device,
    params:
        settings=settings_of("representation", "representation"),
        condition=[],
        root=corpus_root,
        texts=options_for_files("texts", "texts"),
        talkers=options_for_files("talkers", "talkers"),
        weights=untracked(weights_options),
        fairseq=untracked(fairseq_option),
        local_weights=lambda wildcards: content_of_local_weights(wildcards.representation),
        code=representation_code,
    message:
        "{wildcards.representation}: extract shard {wildcards.shard}"
    shell:
        'python "$EMOSCALE_SCRIPTS"/extract_features.py --settings {params.settings:q}'
        " {params.condition:q} --root {params.root:q} --shard {input.shard:q} {params.texts:q}"
        " {params.talkers:q} {params.weights:q} {params.fairseq:q} --output {output:q}"
        " --device {resources.device} --threads {threads} > {log:q} 2>&1"


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


# One pass over the features, for experiments that normalise by speaker.
rule measure_speakers:
    input:
        index=rules.index_features.output,
        speakers=rules.list_speakers.output,
    output:
        f"{OUT}/features/{{representation}}/speakers.parquet",
    log:
        f"{OUT}/logs/measure_speakers/{{representation}}.log",
    benchmark:
        f"{OUT}/benchmarks/measure_speakers/{{representation}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=extraction_megabytes,
        runtime=corpus_minutes,
    params:
        code=code_of("measure_speakers.py"),
    message:
        "{wildcards.representation}: measure mean and standard deviation of each speaker"
    shell:
        'python "$EMOSCALE_SCRIPTS"/measure_speakers.py --index {input.index:q}'
        " --speakers {input.speakers:q} > {log:q} 2>&1"
