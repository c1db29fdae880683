# Representations that the original package computes (backend: fairseq): it needs an older Python and
# an older torch, so waveforms go to a program there and frames come back.
FAIRSEQ_ENVIRONMENT = str(PROJECT / "envs" / "fairseq.yaml")


def fairseq_code(wildcards):
    kind = STUDY.representations[wildcards.representation].kind
    return code_of("store_frames.py", SCRIPTS / "fairseq_backend.py", *sources_of(kind))


rule export_waveforms:
    input:
        generated_corpus(),
        shard=rules.read_shard.output.recordings,
        weights=fetched_checkpoints,
    output:
        waveforms=temp(f"{OUT}/fairseq/{{representation}}/{{shard}}.waveforms.npz"),
        place=temp(f"{OUT}/fairseq/{{representation}}/{{shard}}.checkpoint.json"),
    log:
        f"{OUT}/logs/export_waveforms/{{representation}}/{{shard}}.log",
    wildcard_constraints:
        representation="|".join(FAIRSEQ) or "none",
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("representation", "representation"),
        root=corpus_root,
        weights=untracked(weights_options),
        own_weights=lambda wildcards: content_of_own_weights(wildcards.representation),
        code=code_of("export_waveforms.py"),
    message:
        "{wildcards.representation}: write the waveforms of shard {wildcards.shard} for fairseq"
    shell:
        'python "$EMOSCALE_SCRIPTS"/export_waveforms.py --settings {params.settings:q}'
        " --root {params.root:q} --shard {input.shard:q} {params.weights:q}"
        " --output {output.waveforms:q} --place {output.place:q} > {log:q} 2>&1"


rule compute_with_fairseq:
    input:
        waveforms=rules.export_waveforms.output.waveforms,
        place=rules.export_waveforms.output.place,
    output:
        temp(f"{OUT}/fairseq/{{representation}}/{{shard}}.npz"),
    log:
        f"{OUT}/logs/compute_with_fairseq/{{representation}}/{{shard}}.log",
    benchmark:
        f"{OUT}/benchmarks/compute_with_fairseq/{{representation}}/{{shard}}.tsv"
    wildcard_constraints:
        representation="|".join(FAIRSEQ) or "none",
    conda:
        FAIRSEQ_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        # A resource, because another place of the same package is no reason to compute again.
        python=os.path.expanduser(STUDY.execution.fairseq_python),
    params:
        output=lambda wildcards: STUDY.representations[wildcards.representation].output,
        code=code_of("fairseq_backend.py"),
    message:
        "{wildcards.representation}: compute shard {wildcards.shard} with fairseq"
    shell:
        # Not the workflow's own library: it is written for a newer Python.
        'PYTHONPATH= {resources.python:q} "$EMOSCALE_SCRIPTS"/fairseq_backend.py'
        " --checkpoint {input.place:q} --output {params.output} --threads {threads}"
        " --waveforms {input.waveforms:q} --result {output:q} > {log:q} 2>&1"


rule store_frames:
    input:
        shard=rules.read_shard.output.recordings,
        frames=rules.compute_with_fairseq.output,
        weights=fetched_checkpoints,
    output:
        f"{OUT}/features/{{representation}}/{{shard}}.h5",
    log:
        f"{OUT}/logs/store_frames/{{representation}}/{{shard}}.log",
    wildcard_constraints:
        representation="|".join(FAIRSEQ) or "none",
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("representation", "representation"),
        weights=untracked(weights_options),
        own_weights=lambda wildcards: content_of_own_weights(wildcards.representation),
        code=fairseq_code,
    message:
        "{wildcards.representation}: store shard {wildcards.shard}"
    shell:
        'python "$EMOSCALE_SCRIPTS"/store_frames.py --settings {params.settings:q}'
        " --shard {input.shard:q} {params.weights:q} --frames {input.frames:q} --output {output:q}"
        " > {log:q} 2>&1"
