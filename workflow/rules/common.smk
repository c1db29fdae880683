# The checked configuration, and how rules see parts of it.
import os
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

PROJECT = Path(workflow.basedir)
SCRIPTS = PROJECT / "scripts"
ENVIRONMENT = str(PROJECT / "envs" / "workflow.yaml")
# The library is used from this checkout, by rules that run in another environment too; and plain
# `python` in a rule is the one that runs Snakemake, unless an environment is activated for it.
sys.path.insert(0, str(PROJECT / "workflow"))

from emoscale.config import parse_study
from emoscale.config.configuration_file import read_configuration_file
from emoscale.config.corpus import corpus_name
from emoscale.config.representations import modality_of
from emoscale.corpus.survey import Survey, read_survey, survey_corpus, write_survey
from emoscale.runtime.errors import CorpusError, DiskError, UserError
from emoscale.runtime.file_digests import FileDigests
from emoscale.runtime.provenance import code_digest

try:
    for path in workflow.configfiles:
        read_configuration_file(path)
    STUDY = parse_study(config, workflow.configfiles)
except UserError as error:
    raise WorkflowError(str(error)) from None

OUT = STUDY.folder
IS_DEMO = STUDY.corpus.reader == "demo"
os.environ.update(
    EMOSCALE_SCRIPTS=str(SCRIPTS),
    PYTHONPATH=os.pathsep.join(
        filter(None, [str(PROJECT / "workflow"), os.environ.get("PYTHONPATH")])
    ),
    PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]),
)


wildcard_constraints:
    shard=r"\d+",
    representation="|".join(STUDY.representations),
    checkpoint="|".join(STUDY.checkpoints) or "none",
    condition="|".join(STUDY.robustness.conditions) or "none",
    experiment="|".join(STUDY.experiments),
    fold="|".join(STUDY.fold_names()),
    size=r"\d+|\d+-per-class|all",


def settings_of(part, *wildcard_names):
    """The part of the configuration that a step depends on, as canonical JSON."""
    part_of = getattr(STUDY, f"{part}_settings")
    return lambda wildcards: part_of(*(getattr(wildcards, name) for name in wildcard_names))


@cache
def code_of(script, *modules):
    """Digest of a program and the library modules it imports: comments do not count."""
    return code_digest(SCRIPTS / script, *modules)


def untracked(function):
    """A parameter that is no reason to run a step again, such as where a corpus lies.

    `function` is given the wildcards, the input and the output. Snakemake compares a step's
    parameters with those of its last run, except those that are made from its input or output.
    """
    return lambda wildcards, input, output: function(wildcards, input, output)


def option_for_each(name, files):
    """`--name=FILE` for each of the input files under a name; there may be none."""
    return untracked(
        lambda wildcards, input, output: [f"--{name}={path}" for path in getattr(input, files)]
    )


def folder_of(name):
    """The folder of the output of that name."""
    return untracked(lambda wildcards, input, output: os.path.dirname(getattr(output, name)))


DIGESTS = FileDigests(f"{OUT}/corpus/file_digests.json")


@cache
def survey():
    """Digests of what the corpus holds now; of a generated one, of its settings.

    Where the corpus cannot be read, what it held when it was read last: a finished study needs it
    no more. Steps that do need it then say what is missing.
    """
    if IS_DEMO:
        own, seconds = STUDY.corpus_settings(include_root=False), 3.0 * STUDY.corpus.utterances_per_session
        size = int(seconds * 32_000 / STUDY.shards)
        each = (own,) * STUDY.shards
        return Survey(each, each, own, own, (size,) * STUDY.shards)
    last = f"{OUT}/corpus/survey.json"
    try:
        found = survey_corpus(STUDY.corpus, STUDY.shards, DIGESTS)
    except CorpusError as error:
        nothing = (str(error),) * STUDY.shards
        none = Survey(nothing, nothing, str(error), str(error), (0,) * STUDY.shards)
        return read_survey(last, STUDY.shards) or none
    except DiskError as error:
        raise WorkflowError(str(error)) from None
    if read_survey(last, STUDY.shards) != found:
        write_survey(found, last)
    return found


# Where a corpus lies is no reason to do anything again: what it holds is in the survey.
corpus_settings = untracked(lambda *_: STUDY.corpus_settings())
corpus_root = untracked(lambda *_: STUDY.corpus.root)


def generated_corpus():
    """The folder that must be generated before recordings can be read."""
    return [STUDY.corpus.root] if IS_DEMO else []
