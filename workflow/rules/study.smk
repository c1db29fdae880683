# The checked configuration, and the slices of it that the rules see.
import json
import os
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

PROJECT = Path(workflow.basedir)
LIBRARY = str(PROJECT / "workflow")
SCRIPTS = PROJECT / "scripts"
# The library is used from this checkout, by rules that run in another environment too; and plain
# `python` in a rule is the one that runs Snakemake, unless an environment is activated for it.
sys.path.insert(0, LIBRARY)
os.environ.update(
    EMOSCALE_SCRIPTS=str(SCRIPTS),
    PYTHONPATH=os.pathsep.join([LIBRARY, os.environ.get("PYTHONPATH", "")]).strip(os.pathsep),
    PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]),
)
# Large arrays on large pages, where the C library is glibc: fewer of them are to be cleared.
os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")

from emoscale.config import parse_study
from emoscale.config.checkpoints import UntrainedModel
from emoscale.config.configuration_file import read_configuration_file
from emoscale.config.representations import ExternalSettings, PretrainedSettings, modality_of
from emoscale.config.robustness import Babble
from emoscale.config.references import reference_parts
from emoscale.corpus.reading import modules_of
from emoscale.corpus.survey import Survey, kept_survey, survey_corpus
from emoscale.runtime.errors import CorpusError, UserError
from emoscale.models.registry import sources_of as model_sources
from emoscale.runtime.provenance import (
    canonical_json,
    code_digest,
    file_fingerprint,
    file_sha256,
    tree_listing_digest,
)
from emoscale.representations.registry import sources_of

try:
    for path in workflow.configfiles:
        read_configuration_file(path)
    STUDY = parse_study(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

OUT = STUDY.folder
# Where a step may move a damaged file aside.
os.environ.update(EMOSCALE_RESULTS=os.path.abspath(OUT))
ENVIRONMENT = str(PROJECT / "envs" / "workflow.yaml")
CACHE = os.path.expanduser(STUDY.execution.checkpoint_cache)
IS_DEMO = STUDY.corpus.reader == "demo"


wildcard_constraints:
    shard=r"\d+",
    representation="|".join(STUDY.representations),
    checkpoint="|".join(STUDY.checkpoints) or "none",
    experiment="|".join(STUDY.experiments),
    fold="|".join(STUDY.fold_names()),
    size=r"\d+|\d+-per-class|all",


@cache
def code_of(script, *modules):
    """Digest of a program and the library modules it imports: comments do not count."""
    return code_digest(SCRIPTS / script, *modules)


SURVEY = f"{OUT}/corpus/survey.json"


@cache
def survey():
    """What the corpus says now, of each shard and as a whole; a generated one says its settings.

    Where the corpus cannot be read, what it said when it was read last: a finished study needs it
    no more. Steps that do need it then say what is missing.
    """
    if IS_DEMO:
        own = STUDY.corpus_slice(place=False)
        return Survey((own,) * STUDY.shards, (own,) * STUDY.shards, own)
    try:
        return survey_corpus(STUDY.corpus, STUDY.shards)
    except CorpusError as error:
        nothing = (str(error),) * STUDY.shards
        kept = kept_survey(SURVEY, STUDY.shards)
        return kept or Survey(nothing, nothing, str(error))


def corpus_root(wildcards, input):
    """Where the corpus lies, which is no reason to do anything again."""
    return STUDY.corpus.root


def corpus_name():
    """What the corpus is called in tables and figures."""
    named = ", ".join(getattr(STUDY.corpus, "corpora", [STUDY.corpus.reader]))
    return "demo (synthetic speech)" if IS_DEMO else named


def fold_file_digest():
    """Changes with what a table of given folds says; the step that reads it says what is missing."""
    path = STUDY.protocol.fold_file
    return file_sha256(path) if path and os.path.isfile(path) else ""


def generated_corpus():
    """The folder that must be generated before recordings can be read."""
    return [STUDY.corpus.root] if IS_DEMO else []


def representation_settings(wildcards):
    return STUDY.representation_slice(wildcards.representation)


def texts_of_shard(wildcards):
    """The shard's texts, for what may read them."""
    kind = STUDY.representations[wildcards.representation].kind
    reads = modality_of(kind) != "audio"
    return [f"{OUT}/corpus/texts/{wildcards.shard}.parquet"] if reads else []


def texts_option(wildcards, input):
    return [f"--texts={path}" for path in input.texts]


def representation_backend(wildcards):
    return getattr(STUDY.representations[wildcards.representation], "backend", "native")


def representation_code(wildcards):
    kind = STUDY.representations[wildcards.representation].kind
    return code_of("extract_features.py", *sources_of(kind, representation_backend(wildcards)))


# Another place of the same package is no reason to compute again either (see weights_options).
def backend_option(wildcards, input):
    if representation_backend(wildcards) == "native":
        return []
    return [f"--fairseq-python={os.path.expanduser(STUDY.execution.fairseq_python)}"]


def representation_checkpoint(wildcards):
    """Changes when pre-trained weights that are the user's (files, folders) are replaced."""
    settings = STUDY.representations[wildcards.representation]
    named = STUDY.checkpoints_of(wildcards.representation)
    paths = [getattr(settings, key) for key in getattr(settings, "checkpoint_keys", ())]
    return [
        tree_listing_digest(path) if os.path.isdir(path) else file_fingerprint(path)
        for path in paths
        if path not in named
    ]


def fetched_checkpoints(wildcards):
    """What the representation's weights must be fetched for: those that have a name."""
    names = STUDY.checkpoints_of(wildcards.representation)
    return [f"{OUT}/checkpoints/{name}.json" for name in names]


# Where weights are is no reason to do anything again: what they are stands in the stamp that fetching
# leaves. (Snakemake does not compare parameters that look at the input.)
def weights_options(wildcards, input):
    names = STUDY.checkpoints_of(wildcards.representation)
    known = {name: json.loads(STUDY.checkpoint_slice(name)) for name in names}
    stamps = [f"--weights={path}" for path in input.weights]
    return [*stamps, f"--checkpoints={canonical_json(known)}", f"--cache={CACHE}"] if names else []


def fetching_options(wildcards, output):
    place = [f"--cache={CACHE}", "--offline" if STUDY.execution.offline else "--online"]
    return [f"--settings={STUDY.checkpoint_slice(wildcards.checkpoint)}", *place]


def checkpoint_identity(wildcards):
    """What is fetched; a digest that is stated later is checked and changes nothing."""
    stated = json.loads(STUDY.checkpoint_slice(wildcards.checkpoint))
    return canonical_json({key: value for key, value in stated.items() if key != "sha256"})


def checkpoint_code(wildcards):
    made = isinstance(STUDY.checkpoints[wildcards.checkpoint], UntrainedModel)
    return code_of("fetch_checkpoint.py", "emoscale.representations.weights.untrained") if made else ""


def may_use_gpu(wildcards):
    """Networks, and what the user brings."""
    settings = STUDY.representations[wildcards.representation]
    return isinstance(settings, (PretrainedSettings, ExternalSettings))


def extraction_device(wildcards):
    here = may_use_gpu(wildcards) and representation_backend(wildcards) == "native"
    return STUDY.execution.device if here else "cpu"


def experiment_settings(wildcards):
    return STUDY.training_slice(wildcards.experiment)


# Where weights are is no reason to train again either (see weights_options).
def kept_for_prediction(wildcards, input):
    return STUDY.prediction_slice(wildcards.experiment)


def experiment_code(wildcards):
    kind = STUDY.models[STUDY.experiments[wildcards.experiment].model].kind
    return code_of("train.py", *model_sources(kind))


def experiment_features(wildcards):
    references = STUDY.experiments[wildcards.experiment].representations
    names = [reference_parts(reference)[0] for reference in references]
    return [f"{OUT}/features/{name}/index.parquet" for name in names]


# Every training job of the study.
CELLS = {
    "experiments": {name: STUDY.sizes_of(name) for name in STUDY.experiments},
    "folds": STUDY.fold_names(),
}


def runs_of_cells(pattern):
    """One file of each training job."""
    return [
        path
        for experiment, sizes in CELLS["experiments"].items()
        for path in expand(pattern, experiment=experiment, size=sizes, fold=CELLS["folds"])
    ]


# Of changed test audio (robustness.smk).
def condition_settings(wildcards):
    return STUDY.condition_slice(wildcards.condition)


def talkers_of_condition(wildcards):
    """Everybody, where others talk: one more voice is then heard everywhere."""
    others = isinstance(STUDY.robustness.conditions[wildcards.condition], Babble)
    return [f"{OUT}/corpus/talkers.parquet"] if others else []


def perturbed_code(wildcards):
    kind = STUDY.representations[wildcards.representation].kind
    return code_of("extract_perturbed.py", *sources_of(kind))


def heard_code(wildcards):
    """Of all that made the changed features, which may have been removed since."""
    kinds = [STUDY.representations[name].kind for name in STUDY.audio_of(wildcards.experiment)]
    return [code_of("extract_perturbed.py", *sources_of(kind)) for kind in kinds]


def perturbed_features(wildcards):
    """Indices of the audio that an experiment reads, under every condition."""
    return expand(
        f"{OUT}/perturbed/{{condition}}/{{representation}}/index.parquet",
        condition=sorted(STUDY.robustness.conditions),
        representation=STUDY.audio_of(wildcards.experiment),
    )


def robustness_predictions():
    """One file of each experiment, fold and training size that is tested so."""
    return [
        path
        for experiment, sizes in STUDY.robustness_sizes().items()
        for path in expand(
            f"{OUT}/robustness/{experiment}/{{fold}}/{{size}}.parquet",
            fold=STUDY.fold_names(),
            size=sizes,
        )
    ]
