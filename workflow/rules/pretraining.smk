# Checkpoints that are pre-trained on unlabelled speech, and the comparison of that speech with the
# study's test recordings.

GENERATED_SPEECH = {
    STUDY.pretraining_of(name).speech.root: STUDY.pretraining_of(name).speech
    for name in ON_SPEECH
    if isinstance(STUDY.pretraining_of(name).speech, DemoSpeech)
}

for number, (root, speech) in enumerate(sorted(GENERATED_SPEECH.items())):

    rule:
        name:
            f"generate_speech_{number}" if number else "generate_speech"
        output:
            directory(root),
        log:
            f"{OUT}/logs/generate_speech/{number}.log",
        benchmark:
            f"{OUT}/benchmarks/generate_speech/{number}.tsv"
        priority: 160  # first: the longest chain of steps begins with it, and two cores are free
        conda:
            ENVIRONMENT
        threads: 2
        params:
            speech=canonical_json(speech.model_dump(mode="json")),
            code=code_of("generate_speech.py", "emoscale.corpus.demo.text_to_speech"),
        message:
            "generate synthetic speech without labels"
        shell:
            'python "$EMOSCALE_SCRIPTS"/generate_speech.py --speech {params.speech:q} > {log:q} 2>&1'


rule read_speech:
    input:
        generated_speech,
    output:
        table=f"{OUT}/checkpoints/{{checkpoint}}/speech.parquet",
        rejected=f"{OUT}/checkpoints/{{checkpoint}}/rejected.csv",
    log:
        f"{OUT}/logs/read_speech/{{checkpoint}}.log",
    benchmark:
        f"{OUT}/benchmarks/read_speech/{{checkpoint}}.tsv"
    wildcard_constraints:
        checkpoint="|".join(ON_SPEECH) or "none",
    priority: 100
    conda:
        ENVIRONMENT
    # generated speech is short, and two free cores at one time are rare on a small machine
    threads: lambda wildcards: 1 if generated_speech(wildcards) else 2
    params:
        speech=untracked(
            lambda wildcards, *_: canonical_json(
                speech_settings(wildcards).model_dump(mode="json")
            )
        ),
        audio=settings_of("audio"),
        content=lambda wildcards: speech_content(wildcards.checkpoint),
        held_out=lambda wildcards: STUDY.pretraining_of(wildcards.checkpoint).held_out,
        seed=lambda wildcards: STUDY.pretraining_of(wildcards.checkpoint).seed,
        code=lambda wildcards: code_of("read_speech.py", *readers_of(speech_settings(wildcards))),
    message:
        "{wildcards.checkpoint}: read the unlabelled speech"
    shell:
        'python "$EMOSCALE_SCRIPTS"/read_speech.py --speech {params.speech:q} --audio {params.audio:q}'
        " --held-out {params.held_out} --seed {params.seed} --output {output.table:q}"
        " --rejected {output.rejected:q} --threads {threads} > {log:q} 2>&1"


# Continued from its saved state after an interruption. With several processes, each computes a part
# of every batch; their number changes the weights by rounding only.
rule pretrain:
    input:
        generated_speech,
        speech=speech_table,
        initial=initial_checkpoint,
    output:
        model=directory(f"{OUT}/checkpoints/{{checkpoint}}/model"),
        record=f"{OUT}/checkpoints/{{checkpoint}}.json",
        history=f"{OUT}/checkpoints/{{checkpoint}}/history.parquet",
    log:
        f"{OUT}/logs/pretrain/{{checkpoint}}.log",
    benchmark:
        f"{OUT}/benchmarks/pretrain/{{checkpoint}}.tsv"
    wildcard_constraints:
        checkpoint="|".join(PRETRAINED) or "none",
    priority: 100
    conda:
        ENVIRONMENT
    threads: pretraining_cores
    resources:
        mem_mb=pretraining_megabytes,
        runtime=pretraining_minutes,
        gpu=pretraining_gpus,
        device=pretraining_device,
    params:
        source=lambda wildcards: source_of(STUDY.checkpoints[wildcards.checkpoint]),
        settings=untracked(lambda wildcards, *_: STUDY.checkpoint_settings(wildcards.checkpoint)),
        speech=untracked(speech_options),
        initial=untracked(initial_options),
        initial_content=initial_content,
        environment=untracked(lambda *_: [f"{k}={v}" for k, v in TRAINING_ENVIRONMENT.items()]),
        python=pretraining_python,
        state=untracked(lambda wildcards, *_: f"{OUT}/.pretraining/{wildcards.checkpoint}.pt"),
        code=lambda wildcards: code_of(
            "pretrain.py", OBJECTIVES[STUDY.pretraining_of(wildcards.checkpoint).pretrain]
        ),
    message:
        "{wildcards.checkpoint}: pre-train on unlabelled speech"
    shell:
        '{params.environment} {params.python} "$EMOSCALE_SCRIPTS"/pretrain.py'
        " --name {wildcards.checkpoint} --settings {params.settings:q} {params.speech:q}"
        " {params.initial:q} --state {params.state:q} --model {output.model:q}"
        " --record {output.record:q} --history {output.history:q} --device {resources.device}"
        " > {log:q} 2>&1"


# One table of the losses of all pre-trainings.
rule collect_pretraining:
    input:
        expand(rules.pretrain.output.history, checkpoint=USED),
    output:
        f"{OUT}/tables/pretraining.csv",
        table=f"{OUT}/tables/pretraining.parquet",
    log:
        f"{OUT}/logs/collect_pretraining.log",
    benchmark:
        f"{OUT}/benchmarks/collect_pretraining.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code_of("collect_pretraining.py"),
    message:
        "collect the losses of all pre-trainings"
    shell:
        'python "$EMOSCALE_SCRIPTS"/collect_pretraining.py --output {output.table:q} {input:q}'
        " > {log:q} 2>&1"


# The tested recordings and speakers of the study that the unlabelled speech holds; with the speech of
# the checkpoints that it continues from.
rule compare_speech:
    input:
        generated_corpus(),
        lambda wildcards: [
            folder
            for name in STUDY.speech_of(wildcards.checkpoint)
            for folder in generated_speech_of(name)
        ],
        speech=lambda wildcards: expand(
            rules.read_speech.output.table, checkpoint=STUDY.speech_of(wildcards.checkpoint)
        ),
        recordings=rules.read_corpus.output.recordings,
        measured=expand(rules.measure_shard.output, shard=STUDY.shard_names()),
        folds=expand(rules.make_fold.output, fold=STUDY.fold_names()),
    output:
        f"{OUT}/checkpoints/{{checkpoint}}/overlap.json",
    log:
        f"{OUT}/logs/compare_speech/{{checkpoint}}.log",
    benchmark:
        f"{OUT}/benchmarks/compare_speech/{{checkpoint}}.tsv"
    wildcard_constraints:
        checkpoint="|".join(PRETRAINED) or "none",
    conda:
        ENVIRONMENT
    resources:
        runtime=corpus_minutes,
    params:
        speech=untracked(
            lambda wildcards, input, output: [
                part
                for table, name in zip(input.speech, STUDY.speech_of(wildcards.checkpoint))
                for part in ("--speech", table, STUDY.pretraining_of(name).speech.root)
            ]
        ),
        root=corpus_root,
        shards=STUDY.shards,
        code=code_of("compare_speech.py"),
    message:
        "{wildcards.checkpoint}: look for the study's test recordings in the unlabelled speech"
    shell:
        'python "$EMOSCALE_SCRIPTS"/compare_speech.py {params.speech:q} --root {params.root:q}'
        " --recordings {input.recordings:q} --shards {params.shards} --output {output:q}"
        " --threads {threads} {input.measured:q} {input.folds:q} > {log:q} 2>&1"
