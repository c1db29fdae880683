# A job an experiment, fold and training size; its repeats train together.
from emoscale.config.settings import reference_parts
from emoscale.models.registry import sources_of as sources_of_model

CELL = f"{OUT}/runs/{{experiment}}/{{fold}}/{{size}}"


def features_of_experiment(wildcards):
    references = STUDY.experiments[wildcards.experiment].representations
    names = [reference_parts(reference)[0] for reference in references]
    return [f"{OUT}/features/{name}/index.parquet" for name in names]


def training_code(wildcards):
    kind = STUDY.models[STUDY.experiments[wildcards.experiment].model].kind
    return code_of("train.py", *sources_of_model(kind))


rule train:
    input:
        fold=rules.make_fold.output,
        features=features_of_experiment,
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
        gpu=int(STUDY.execution.device == "cuda"),
        # A resource, because another device is no reason to train again.
        device=STUDY.execution.device,
    params:
        settings=settings_of("training", "experiment"),
        # For predictions of new recordings: where weights lie is no reason to train again.
        prediction=untracked(
            lambda wildcards, input, output: STUDY.prediction_slice(wildcards.experiment)
        ),
        folder=CELL,
        code=training_code,
    message:
        "{wildcards.experiment}: train on {wildcards.size}, test {wildcards.fold}"
    shell:
        'python "$EMOSCALE_SCRIPTS"/train.py --settings {params.settings:q}'
        " --experiment {wildcards.experiment} --fold {wildcards.fold} --size {wildcards.size}"
        " --protocol {input.fold:q} --prediction {params.prediction:q}"
        " --output {params.folder:q} --device {resources.device} --threads {threads}"
        " --memory {resources.mem_mb} {input.features:q} > {log:q} 2>&1"


# Every training job of the study.
CELLS = {
    "experiments": {name: STUDY.sizes_of(name) for name in STUDY.experiments},
    "folds": STUDY.fold_names(),
}


def files_of_cells(pattern, sizes_of_experiments):
    """One file of each experiment, fold and training size."""
    return [
        path
        for experiment, sizes in sizes_of_experiments.items()
        for path in expand(pattern, experiment=experiment, size=sizes, fold=STUDY.fold_names())
    ]
