# One job per experiment, fold and training size, with all repeats.

CELL = f"{OUT}/runs/{{experiment}}/{{fold}}/{{size}}"


rule train:
    input:
        fold=rules.make_fold.output,
        features=features_of_experiment,
        speakers=speaker_statistics_of_experiment,
    output:
        predictions=f"{CELL}/predictions.parquet",
        history=f"{CELL}/history.parquet",
        run=f"{CELL}/run.json",
        model=f"{CELL}/model.safetensors",
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
        gpu=training_gpus,
        # A resource and no parameter: another device is no reason to train again.
        device=training_device,
    params:
        settings=settings_of("training", "experiment"),
        # For predictions of new recordings; the path of checkpoints is no reason to train again.
        prediction=untracked(
            lambda wildcards, input, output: STUDY.prediction_settings(wildcards.experiment)
        ),
        environment=untracked(lambda *_: [f"{k}={v}" for k, v in TRAINING_ENVIRONMENT.items()]),
        folder=folder_of("run"),
        code=training_code,
    message:
        "{wildcards.experiment}: train on {wildcards.size}, test {wildcards.fold}"
    shell:
        '{params.environment} python "$EMOSCALE_SCRIPTS"/train.py --settings {params.settings:q}'
        " --experiment {wildcards.experiment} --fold {wildcards.fold} --size {wildcards.size}"
        " --protocol {input.fold:q} --prediction {params.prediction:q}"
        " --output {params.folder:q} --device {resources.device} --threads {threads}"
        " {input.features:q} > {log:q} 2>&1"


# Every training job of the study.
CELLS = {
    "experiments": {name: STUDY.sizes_of(name) for name in STUDY.experiments},
    "folds": STUDY.fold_names(),
}
