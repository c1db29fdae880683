# Trained models on perturbed test audio. It is extracted once for all experiments, and stored: another
# condition extracts only its own.


use rule extract_features as extract_perturbed with:
    input:
        generated_corpus(),
        shard=rules.read_shard.output.recordings,
        texts=[],
        weights=fetched_checkpoints,
        talkers=talkers_of_condition,
    output:
        f"{OUT}/perturbed/{{condition}}/{{representation}}/{{shard}}.h5",
    log:
        f"{OUT}/logs/extract_perturbed/{{condition}}/{{representation}}/{{shard}}.log",
    benchmark:
        f"{OUT}/benchmarks/extract_perturbed/{{condition}}/{{representation}}/{{shard}}.tsv"
    group:
        PERTURBED_GROUP
    resources:
        mem_mb=extraction_megabytes,
        runtime=perturbed_minutes,
        gpu=extraction_gpus,
        device=extraction_device,
    params:
        condition=lambda wildcards: f"--condition={STUDY.condition_settings(wildcards.condition)}",
        code=perturbed_code,
    message:
        "{wildcards.representation}: extract shard {wildcards.shard} under {wildcards.condition}"


use rule index_features as index_perturbed with:
    input:
        expand(
            f"{OUT}/perturbed/{{{{condition}}}}/{{{{representation}}}}/{{shard}}.h5",
            shard=STUDY.shard_names(),
        ),
    output:
        f"{OUT}/perturbed/{{condition}}/{{representation}}/index.parquet",
    log:
        f"{OUT}/logs/index_perturbed/{{condition}}/{{representation}}.log",
    benchmark:
        f"{OUT}/benchmarks/index_perturbed/{{condition}}/{{representation}}.tsv"
    message:
        "{wildcards.representation}: verify all shards under {wildcards.condition}"


use rule measure_speakers as measure_perturbed_speakers with:
    input:
        index=rules.index_perturbed.output,
        speakers=rules.list_speakers.output,
    output:
        f"{OUT}/perturbed/{{condition}}/{{representation}}/speakers.parquet",
    log:
        f"{OUT}/logs/measure_perturbed_speakers/{{condition}}/{{representation}}.log",
    benchmark:
        f"{OUT}/benchmarks/measure_perturbed_speakers/{{condition}}/{{representation}}.tsv"
    message:
        "{wildcards.representation}: measure each speaker under {wildcards.condition}"


# All conditions in one process, because its start takes longer than the predictions.
rule test_robustness:
    input:
        run=rules.train.output.run,
        model=rules.train.output.model,
        fold=rules.make_fold.output,
        features=features_of_experiment,
        perturbed=perturbed_features,
        speakers=speaker_statistics_of_experiment,
        perturbed_speakers=perturbed_speaker_statistics,
    output:
        f"{OUT}/robustness/{{experiment}}/{{fold}}/{{size}}.parquet",
    log:
        f"{OUT}/logs/test_robustness/{{experiment}}/{{fold}}/{{size}}.log",
    benchmark:
        f"{OUT}/benchmarks/test_robustness/{{experiment}}/{{fold}}/{{size}}.tsv"
    group:
        ROBUSTNESS_GROUP
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=training_megabytes,
        runtime=robustness_minutes,
        gpu=training_gpus,
        device=training_device,
    params:
        run=untracked(lambda wildcards, input, output: os.path.dirname(input.run)),
        features=options_for_files("features", "features"),
        perturbed=options_for_files("perturbed", "perturbed"),
        code=code_of("test_robustness.py"),
    message:
        "{wildcards.experiment}: test {wildcards.fold} under every condition, trained on {wildcards.size}"
    shell:
        'python "$EMOSCALE_SCRIPTS"/test_robustness.py --run {params.run:q}'
        " --protocol {input.fold:q} {params.features:q} {params.perturbed:q}"
        " --output {output:q} --device {resources.device} --threads {threads} > {log:q} 2>&1"


rule score_robustness:
    input:
        predictions=files_of_cells(rules.test_robustness.output, STUDY.robustness_sizes()),
        utterances=rules.label_corpus.output.utterances,
    output:
        table=f"{OUT}/tables/robustness.parquet",
        csv=f"{OUT}/tables/robustness.csv",
    log:
        f"{OUT}/logs/score_robustness.log",
    benchmark:
        f"{OUT}/benchmarks/score_robustness.tsv"
    conda:
        ENVIRONMENT
    params:
        conditions=settings_of("conditions"),
        cells=canonical_json({"sizes": STUDY.robustness_sizes(), "folds": STUDY.fold_names()}),
        protocol=settings_of("protocol"),
        predictions=lambda wildcards: f"{OUT}/robustness",
        code=code_of("score_robustness.py"),
    message:
        "score all experiments under every condition"
    shell:
        "printf %s {params.cells:q}"
        ' | python "$EMOSCALE_SCRIPTS"/score_robustness.py --predictions {params.predictions:q}'
        " --cells - --conditions {params.conditions:q} --protocol {params.protocol:q}"
        " --utterances {input.utterances:q} --output {output.table:q} > {log:q} 2>&1"
