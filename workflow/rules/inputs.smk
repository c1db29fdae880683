# Inputs and code of the steps of a representation, an experiment or a condition.
import json

from emoscale.config.checkpoints import UntrainedModel, source_of
from emoscale.config.local_weights import (
    check_local_weights,
    local_initial_weights,
    local_weights,
)
from emoscale.config.pretraining import DemoSpeech
from emoscale.config.representations import ExternalSettings, PretrainedSettings
from emoscale.config.robustness import Babble
from emoscale.config.search import trials_of
from emoscale.config.settings import reference_parts
from emoscale.corpus.readers import READERS, reader_modules
from emoscale.models.registry import sources_of as sources_of_model
from emoscale.pretraining.objectives import OBJECTIVES
from emoscale.representations.registry import representation_sources
from emoscale.representations.weights.local_checkpoint import check_stated_digest
from emoscale.runtime.files import write_json
from emoscale.runtime.provenance import canonical_json

CACHE = os.path.expanduser(STUDY.execution.checkpoint_cache)

PRETRAINED = [name for name in STUDY.checkpoints if STUDY.pretraining_of(name)]
FETCHED = [name for name in STUDY.checkpoints if not STUDY.pretraining_of(name)]


def check_weights():
    """Report weights that do not exist, or are not those that the configuration states."""
    check_local_weights(STUDY, workflow.configfiles)
    for name, settings in STUDY.checkpoints.items():
        check_stated_digest(f"{OUT}/checkpoints/{name}.json", settings)


try:
    check_weights()
except UserError as error:
    raise WorkflowError(str(error)) from None


def checkpoint_code(wildcards):
    """Return the code of a checkpoint where it generates the weights; downloads have a digest."""
    made = isinstance(STUDY.checkpoints[wildcards.checkpoint], UntrainedModel)
    return (
        code_of("fetch_checkpoint.py", "emoscale.representations.weights.untrained") if made else ""
    )


def backend_of(wildcards):
    return getattr(STUDY.representations[wildcards.representation], "backend", "native")


def representation_code(wildcards):
    kind = STUDY.representations[wildcards.representation].kind
    return code_of("extract_features.py", *representation_sources(kind, backend_of(wildcards)))


def fairseq_option(wildcards, input, output):
    """Return the option with the Python of fairseq."""
    if backend_of(wildcards) == "native":
        return []
    return [f"--fairseq-python={os.path.expanduser(STUDY.execution.fairseq_python)}"]


def texts_of_shard(wildcards):
    """Return the texts of the shard, for representations that may read them."""
    kind = STUDY.representations[wildcards.representation].kind
    reads_text = modality_of(kind) != "audio"
    return expand(rules.read_texts.output, shard=wildcards.shard) if reads_text else []


def fetched_checkpoints(wildcards):
    """Return the records of the checkpoints that a representation names."""
    names = STUDY.checkpoints_of(wildcards.representation)
    return [f"{OUT}/checkpoints/{name}.json" for name in names]


def weights_options(wildcards, input, output):
    """Return the options with the checkpoints of a representation."""
    return checkpoint_options(STUDY.checkpoints_of(wildcards.representation), input.weights)


def checkpoint_options(names, records):
    """Return the options with checkpoints, their records and the cache."""
    if not records:
        return []
    known = {name: json.loads(STUDY.checkpoint_settings(name)) for name in names}
    options = [f"--weights={path}" for path in records]
    return [*options, f"--checkpoints={canonical_json(known)}", f"--cache={CACHE}"]


@cache
def content_of_local_weights(representation):
    """Return digests of local files and folders of weights, which change when they are replaced."""
    paths = local_weights(STUDY.representations[representation], STUDY.checkpoints)
    return [DIGESTS.path_digest(path) for path in paths]


def may_use_gpu(wildcards):
    """Return whether a representation is a network, or may be one."""
    settings = STUDY.representations[wildcards.representation]
    return isinstance(settings, (PretrainedSettings, ExternalSettings))


def extraction_device(wildcards):
    here = may_use_gpu(wildcards) and backend_of(wildcards) == "native"
    return STUDY.execution.device if here else "cpu"


def training_device(wildcards):
    """Return the device of a training; scikit-learn's estimators compute on the CPU."""
    model = STUDY.models[STUDY.experiments[wildcards.experiment].model]
    return "cpu" if model.kind == "estimator" else STUDY.execution.device


def fold_file_digest():
    """Return the digest of the fold file; the step that reads it reports a missing one."""
    path = STUDY.protocol.fold_file
    return DIGESTS.path_digest(path) if path else ""


def features_of_experiment(wildcards):
    references = STUDY.experiments[wildcards.experiment].representations
    names = [reference_parts(reference)[0] for reference in references]
    return [f"{OUT}/features/{name}/index.parquet" for name in names]


def speakers_files(indices, experiment):
    """Return the speaker statistics next to the indices, where an experiment normalises by them."""
    by_speaker = STUDY.training_of(experiment).normalisation == "speaker"
    return [f"{os.path.dirname(path)}/speakers.parquet" for path in indices] if by_speaker else []


def speaker_statistics_of_experiment(wildcards):
    return speakers_files(features_of_experiment(wildcards), wildcards.experiment)


def perturbed_speaker_statistics(wildcards):
    return speakers_files(perturbed_features(wildcards), wildcards.experiment)


def training_code(wildcards):
    return code_of("train.py", *training_sources(wildcards.experiment))


@cache
def training_sources(name):
    """Return the modules that only the trainings of an experiment import, of all its trials."""
    experiment, training = STUDY.experiments[name], STUDY.training_of(name)
    trials = trials_of(STUDY.models[experiment.model], training, experiment.search)
    return sources_of_model(*(trial.model for trial in trials))


def files_of_cells(pattern, sizes_of_experiments):
    """Return one file of each experiment, fold and training size."""
    return [
        path
        for experiment, sizes in sizes_of_experiments.items()
        for path in expand(pattern, experiment=experiment, size=sizes, fold=STUDY.fold_names())
    ]


def perturbed_code(wildcards):
    kind = STUDY.representations[wildcards.representation].kind
    sources = representation_sources(kind, backend_of(wildcards))
    return code_of("extract_features.py", "emoscale.audio.conditions", *sources)


def talkers_of_condition(wildcards):
    """Return the table of talkers, for babble noise."""
    others = isinstance(STUDY.robustness.conditions[wildcards.condition], Babble)
    return rules.list_speakers.output if others else []


def perturbed_features(wildcards):
    """Return the indices of an experiment's representations of audio, under every condition."""
    return expand(
        rules.index_perturbed.output,
        condition=sorted(STUDY.robustness.conditions),
        representation=STUDY.audio_of(wildcards.experiment),
    )


# Checkpoints that are pre-trained on unlabelled speech.
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
    from emoscale.pretraining.speech import speech_digest  # half a second, where it is needed

    path = Path(OUT, "corpus", "speech_digests.json")
    try:
        last = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        last = {}  # never written, or damaged: then the speech must be readable
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
