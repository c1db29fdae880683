# Every representation of every shard, and an index a representation.
import json

from emoscale.config.checkpoints import UntrainedModel
from emoscale.config.representations import ExternalSettings, PretrainedSettings
from emoscale.representations.registry import sources_of
from emoscale.runtime.provenance import canonical_json


localrules:
    fetch_checkpoint,


CACHE = os.path.expanduser(STUDY.execution.checkpoint_cache)


def checkpoint_identity(wildcards):
    """What is fetched; a digest that is stated later is checked and changes nothing."""
    stated = json.loads(STUDY.checkpoint_slice(wildcards.checkpoint))
    return canonical_json({key: value for key, value in stated.items() if key != "sha256"})


def checkpoint_code(wildcards):
    """Only where it makes the weights: what is downloaded is held to a digest."""
    made = isinstance(STUDY.checkpoints[wildcards.checkpoint], UntrainedModel)
    return (
        code_of("fetch_checkpoint.py", "emoscale.representations.weights.untrained") if made else ""
    )


# Weights by name: downloaded once to a cache that studies share. A step that needs the network, so
# it runs where Snakemake runs.
rule fetch_checkpoint:
    output:
        f"{OUT}/checkpoints/{{checkpoint}}.json",
    log:
        f"{OUT}/logs/fetch_checkpoint/{{checkpoint}}.log",
    priority: 100  # what cannot be fetched is known before hours of work
    conda:
        ENVIRONMENT
    params:
        identity=checkpoint_identity,
        settings=untracked(
            lambda wildcards, input, output: STUDY.checkpoint_slice(wildcards.checkpoint)
        ),
        cache=untracked(lambda *_: CACHE),
        offline=untracked(lambda *_: "--offline" if STUDY.execution.offline else "--online"),
        code=checkpoint_code,
    message:
        "{wildcards.checkpoint}: fetch the weights"
    shell:
        'python "$EMOSCALE_SCRIPTS"/fetch_checkpoint.py --name {wildcards.checkpoint}'
        " --settings {params.settings:q} --cache {params.cache:q} {params.offline} --output {output:q}"
        " > {log:q} 2>&1"


def backend_of(wildcards):
    return getattr(STUDY.representations[wildcards.representation], "backend", "native")


def representation_code(wildcards):
    kind = STUDY.representations[wildcards.representation].kind
    return code_of("extract_features.py", *sources_of(kind, backend_of(wildcards)))


def fairseq_option(wildcards, input, output):
    """Where the original package lies, for what it computes."""
    if backend_of(wildcards) == "native":
        return []
    return [f"--fairseq-python={os.path.expanduser(STUDY.execution.fairseq_python)}"]


def texts_of_shard(wildcards):
    """The shard's texts, for what may read them."""
    kind = STUDY.representations[wildcards.representation].kind
    reads_text = modality_of(kind) != "audio"
    return expand(rules.read_texts.output, shard=wildcards.shard) if reads_text else []


def fetched_checkpoints(wildcards):
    """What the representation's weights must be fetched for: those that have a name."""
    names = STUDY.checkpoints_of(wildcards.representation)
    return [f"{OUT}/checkpoints/{name}.json" for name in names]


def weights_options(wildcards, input, output):
    """Where the weights lie; what they are stands in the stamps that fetching leaves."""
    names = STUDY.checkpoints_of(wildcards.representation)
    known = {name: json.loads(STUDY.checkpoint_slice(name)) for name in names}
    stamps = [f"--weights={path}" for path in input.weights]
    return [*stamps, f"--checkpoints={canonical_json(known)}", f"--cache={CACHE}"] if names else []


@cache
def content_of_own_weights(representation):
    """Changes when pre-trained weights that are the user's (files, folders) are replaced."""
    settings = STUDY.representations[representation]
    named = STUDY.checkpoints_of(representation)
    paths = [getattr(settings, key) for key in getattr(settings, "checkpoint_keys", ())]
    return [DIGESTS.of_tree(path) for path in paths if path not in named]


def may_use_gpu(wildcards):
    """Networks, and what the user brings."""
    settings = STUDY.representations[wildcards.representation]
    return isinstance(settings, (PretrainedSettings, ExternalSettings))


def extraction_device(wildcards):
    here = may_use_gpu(wildcards) and backend_of(wildcards) == "native"
    return STUDY.execution.device if here else "cpu"


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
        extraction_pack
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=extraction_megabytes,
        runtime=extraction_minutes,
        pack=1,
        gpu=lambda wildcards: int(extraction_device(wildcards) == "cuda"),
        # A resource, because another device is no reason to extract again.
        device=extraction_device,
    params:
        settings=settings_of("representation", "representation"),
        condition=[],
        root=corpus_root,
        texts=option_for_each("texts", "texts"),
        talkers=option_for_each("talkers", "talkers"),
        weights=untracked(weights_options),
        fairseq=untracked(fairseq_option),
        own_weights=lambda wildcards: content_of_own_weights(wildcards.representation),
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
