# A job an experiment, fold and training size; its repeats train together.
rule train:
    input:
        protocol=rules.make_fold.output,
        features=experiment_features,
    output:
        predictions=f"{OUT}/runs/{{experiment}}/{{fold}}/{{size}}/predictions.parquet",
        history=f"{OUT}/runs/{{experiment}}/{{fold}}/{{size}}/history.parquet",
        run=f"{OUT}/runs/{{experiment}}/{{fold}}/{{size}}/run.json",
        model=f"{OUT}/runs/{{experiment}}/{{fold}}/{{size}}/model.safetensors",
    log:
        f"{OUT}/logs/train/{{experiment}}/{{fold}}/{{size}}.log",
    benchmark:
        f"{OUT}/benchmarks/train/{{experiment}}/{{fold}}/{{size}}.tsv"
    group:
        TRAINING_GROUP
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=training_megabytes,
        runtime=training_minutes,
        gpu=int(STUDY.execution.device == "cuda"),
        # Resources, because another device or pace is no reason to train again.
        device=STUDY.execution.device,
        checkpoint_seconds=STUDY.execution.seconds_between_checkpoints,
    params:
        settings=experiment_settings,
        features=lambda wildcards, input: [f"--features={path}" for path in input.features],
        prediction=kept_for_prediction,
        folder=lambda wildcards, output: os.path.dirname(output.run),
        code=experiment_code,
    message:
        "{wildcards.experiment}: train on {wildcards.size}, test {wildcards.fold}"
    shell:
        'python "$EMOSCALE_SCRIPTS"/train.py --settings {params.settings:q}'
        " --experiment {wildcards.experiment} --fold {wildcards.fold} --size {wildcards.size}"
        " --protocol {input.protocol:q} {params.features:q} --prediction {params.prediction:q}"
        " --output {params.folder:q} --device {resources.device} --threads {threads}"
        " --memory {resources.mem_mb} --checkpoint-seconds {resources.checkpoint_seconds}"
        " > {log:q} 2>&1"
