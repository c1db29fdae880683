# Checkpoints that are pre-trained on unlabelled speech, and the comparison of that speech with the
# study's test recordings.
from emoscale.config.local_weights import local_initial_weights
from emoscale.config.pretraining import DemoSpeech
from emoscale.config.resources import pretraining_memory, pretraining_seconds
from emoscale.corpus.readers import READERS, reader_modules
from emoscale.pretraining.objectives import OBJECTIVES
from emoscale.pretraining.speech import speech_digest
from emoscale.runtime.files import write_json

ON_SPEECH = [name for name in PRETRAINED if STUDY.pretraining_of(name).steps]
# The pre-trained checkpoints that experiments use and whose networks have seen speech.
COMPARED = list(
    dict.fromkeys(
        name
        for experiment in STUDY.experiments.values()
        for reference in experiment.representations
        for name in STUDY.checkpoints_of(reference_parts(reference)[0])
        if STUDY.speech_of(name)
    )
)
# These, and those that they continue from.
USED = list(dict.fromkeys(name for each in COMPARED for name in STUDY.speech_of(each)))


def speech_settings(wildcards):
    return STUDY.pretraining_of(wildcards.checkpoint).speech


def generated_speech(wildcards):
    return generated_speech_of(wildcards.checkpoint)


def generated_speech_of(checkpoint):
    """Return the folder of unlabelled speech where it must be generated first."""
    speech = STUDY.pretraining_of(checkpoint).speech
    return [speech.root] if isinstance(speech, DemoSpeech) else []


@cache
def speech_content(checkpoint):
    """Return the digest of the unlabelled speech, which does not depend on the folder's path.

    Speech that cannot be read counts as it was when it was read last, as the corpus does.
    """
    path = Path(OUT, "corpus", "speech_digests.json")
    last = json.loads(path.read_text()) if path.exists() else {}
    try:
        present = speech_digest(STUDY.pretraining_of(checkpoint).speech, DIGESTS)
    except UserError as error:
        message = f"checkpoints.{checkpoint}.speech: {error}"
        if checkpoint not in last:
            raise WorkflowError(message) from None
        print(f"warning: {message}. The plan uses it as it was read last.", file=sys.stderr)
        return last[checkpoint]
    if last.get(checkpoint) != present:
        write_json(path, {**last, checkpoint: present})
    return present


# Now and not when a step needs it, so that a mistake is reported as one sentence.
for name in USED:
    speech_content(name)


def readers_of(speech):
    """Return the modules that read the speech if it is a corpus."""
    return reader_modules(speech) if speech.reader in READERS else []


def speech_options(wildcards, input, output):
    """Return the options with the table and folder of the speech that a checkpoint is trained on."""
    speech = speech_settings(wildcards)
    return [f"--speech={input.speech}", f"--root={speech.root}"] if input.speech else []


def speech_table(wildcards):
    return [rules.read_speech.output.table] if wildcards.checkpoint in ON_SPEECH else []


def initial_checkpoint(wildcards):
    """Return the record of the checkpoint that a pre-training continues from."""
    name = STUDY.pretraining_of(wildcards.checkpoint).continue_from
    return [f"{OUT}/checkpoints/{name}.json"] if name in STUDY.checkpoints else []


def initial_options(wildcards, input, output):
    """Return the options that locate the checkpoint that a pre-training continues from."""
    return checkpoint_options(
        [STUDY.pretraining_of(wildcards.checkpoint).continue_from], input.initial
    )


def initial_content(wildcards):
    """Return the digest of weights that are named by their path."""
    path = local_initial_weights(STUDY, wildcards.checkpoint)
    return DIGESTS.path_digest(path) if path else ""


def pretraining_device(wildcards):
    return STUDY.execution.device if wildcards.checkpoint in ON_SPEECH else "cpu"


def pretraining_processes(wildcards):
    return STUDY.execution.pretraining_processes if wildcards.checkpoint in ON_SPEECH else 1


def pretraining_python(wildcards, input, output):
    """Return the command that starts all processes of a pre-training, on one node."""
    processes = pretraining_processes(wildcards)
    several = ["torchrun", "--standalone", f"--nproc-per-node={processes}"]
    return several if processes > 1 else ["python"]


def pretraining_cores(wildcards):
    """Return the cores of a pre-training; on a GPU, each process decodes in four threads."""
    return pretraining_processes(wildcards) * (4 if pretraining_gpus(wildcards) else 1)


def pretraining_gpus(wildcards):
    on_gpu = pretraining_device(wildcards) in GPU_DEVICES
    return pretraining_processes(wildcards) if on_gpu else 0


def pretraining_minutes(wildcards):
    """Return the time limit, of each attempt: a further one continues from the saved state."""
    settings = STUDY.pretraining_of(wildcards.checkpoint)
    seconds = pretraining_seconds(settings, pretraining_device(wildcards))
    return minutes(seconds / pretraining_processes(wildcards))


def pretraining_megabytes(wildcards, attempt):
    settings = STUDY.pretraining_of(wildcards.checkpoint)
    return megabytes(pretraining_processes(wildcards) * pretraining_memory(settings), attempt)


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
        priority: 100  # the longest chain of steps begins with it
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
    threads: 2
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
    threads: 2
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
