# Trained models on test audio that was changed: in noise, in a room, over a telephone. What is heard
# is extracted once for all experiments, and kept: a further condition extracts only its own.
wildcard_constraints:
    condition="|".join(STUDY.robustness.conditions),


# Neither labels nor texts, so that other ones extract nothing again.
rule list_tested:
    input:
        shards=expand(rules.read_shard.output.recordings, shard=STUDY.shard_names()),
        utterances=rules.label_corpus.output.utterances,
    output:
        shards=expand(f"{OUT}/corpus/tested/{{shard}}.parquet", shard=STUDY.shard_names()),
        talkers=f"{OUT}/corpus/talkers.parquet",
    log:
        f"{OUT}/logs/list_tested.log",
    benchmark:
        f"{OUT}/benchmarks/list_tested.tsv"
    conda:
        ENVIRONMENT
    params:
        folder=lambda wildcards, output: os.path.dirname(output.shards[0]),
        code=code_of("list_tested.py"),
    message:
        "list what is tested under changed conditions"
    shell:
        'python "$EMOSCALE_SCRIPTS"/list_tested.py --utterances {input.utterances:q}'
        " --talkers {output.talkers:q} --output {params.folder:q} {input.shards:q} > {log:q} 2>&1"


rule extract_perturbed:
    input:
        generated_corpus(),
        shard=f"{OUT}/corpus/tested/{{shard}}.parquet",
        talkers=talkers_of_condition,
        weights=fetched_checkpoints,
    output:
        f"{OUT}/perturbed/{{condition}}/{{representation}}/{{shard}}.h5",
    log:
        f"{OUT}/logs/extract_perturbed/{{condition}}/{{representation}}/{{shard}}.log",
    benchmark:
        f"{OUT}/benchmarks/extract_perturbed/{{condition}}/{{representation}}/{{shard}}.tsv"
    group:
        PERTURBED_GROUP
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=extraction_megabytes,
        runtime=perturbed_minutes,
        gpu=lambda wildcards: int(extraction_device(wildcards) == "cuda"),
        device=extraction_device,
    params:
        settings=representation_settings,
        condition=condition_settings,
        root=corpus_root,
        talkers=lambda wildcards, input: [f"--talkers={path}" for path in input.talkers],
        weights=weights_options,
        checkpoint=representation_checkpoint,
        code=perturbed_code,
    message:
        "{wildcards.representation}: extract shard {wildcards.shard} under {wildcards.condition}"
    shell:
        'python "$EMOSCALE_SCRIPTS"/extract_perturbed.py --settings {params.settings:q}'
        " --condition {params.condition:q} --root {params.root:q} --shard {input.shard:q}"
        " {params.talkers:q} {params.weights:q} --output {output:q}"
        " --device {resources.device} --threads {threads} > {log:q} 2>&1"


rule index_perturbed:
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
    conda:
        ENVIRONMENT
    params:
        code=code_of("index_features.py"),
    message:
        "{wildcards.representation}: verify all shards under {wildcards.condition}"
    shell:
        'python "$EMOSCALE_SCRIPTS"/index_features.py --output {output:q} {input:q} > {log:q} 2>&1'


# All conditions in one process, because starting one takes longer than predicting.
rule test_robustness:
    input:
        run=rules.train.output.run,
        model=rules.train.output.model,
        protocol=rules.make_fold.output,
        features=experiment_features,
        perturbed=perturbed_features,
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
        gpu=int(STUDY.execution.device == "cuda"),
        device=STUDY.execution.device,
    params:
        conditions=STUDY.conditions_slice(),
        heard=heard_code,
        folder=lambda wildcards, input: os.path.dirname(input.run),
        features=lambda wildcards, input: [f"--features={path}" for path in input.features],
        perturbed=lambda wildcards, input: [f"--perturbed={path}" for path in input.perturbed],
        code=code_of("predict_perturbed.py"),
    message:
        "{wildcards.experiment}: test {wildcards.fold} under every condition, trained on {wildcards.size}"
    shell:
        'python "$EMOSCALE_SCRIPTS"/predict_perturbed.py --run {params.folder:q}'
        " --protocol {input.protocol:q} {params.features:q} {params.perturbed:q}"
        " --output {output:q} --device {resources.device} --threads {threads}"
        " --memory {resources.mem_mb} > {log:q} 2>&1"


rule score_robustness:
    input:
        robustness_predictions(),
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
        conditions=STUDY.conditions_slice(),
        cells=canonical_json({"sizes": STUDY.robustness_sizes(), "folds": STUDY.fold_names()}),
        seed=STUDY.seed,
        seeds_per_order=STUDY.protocol.seeds_per_order,
        folder=lambda wildcards: f"{OUT}/robustness",
        code=code_of("robustness_scores.py"),
    message:
        "score all experiments under every condition"
    shell:
        'python "$EMOSCALE_SCRIPTS"/robustness_scores.py --predictions {params.folder:q}'
        " --cells {params.cells:q} --conditions {params.conditions:q} --seed {params.seed}"
        " --seeds-per-order {params.seeds_per_order}"
        " --utterances {input.utterances:q} --output {output.table:q} > {log:q} 2>&1"


rule draw_robustness:
    input:
        robustness=f"{OUT}/tables/robustness.parquet",
        scores=f"{OUT}/tables/scores.parquet",
    output:
        report(
            f"{OUT}/figures/robustness.html",
            caption="../report/robustness.rst",
            category="Figures",
            labels={"figure": "robustness", "form": "interactive"},
        ),
        report(
            f"{OUT}/figures/robustness.svg",
            caption="../report/robustness.rst",
            category="Figures",
            labels={"figure": "robustness", "form": "drawing"},
        ),
    log:
        f"{OUT}/logs/draw_robustness.log",
    benchmark:
        f"{OUT}/benchmarks/draw_robustness.tsv"
    group:
        RESULTS_GROUP
    conda:
        ENVIRONMENT
    params:
        code=code_of("draw_robustness.py"),
    message:
        "draw what models lose on changed audio"
    shell:
        'python "$EMOSCALE_SCRIPTS"/draw_robustness.py --robustness {input.robustness:q}'
        " --scores {input.scores:q} {output:q} > {log:q} 2>&1"


ROBUSTNESS_RESULTS += [*rules.score_robustness.output, *rules.draw_robustness.output]
