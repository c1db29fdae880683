# The validated configuration, and the helpers by which rules read parts of it.
import os
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

PROJECT = Path(workflow.basedir)
SCRIPTS = PROJECT / "scripts"
ENVIRONMENT = str(PROJECT / "envs" / "workflow.yaml")
# Rules use the library of this checkout, also in another environment; `python` in a rule is the one
# that runs Snakemake, unless an environment is activated for it.
sys.path.insert(0, str(PROJECT / "workflow"))

from emoscale.config import parse_study
from emoscale.config.configuration_file import read_configuration_file
from emoscale.config.corpus import generated_part
from emoscale.corpus.readers import corpus_name
from emoscale.config.representations import modality_of
from emoscale.corpus.digests import (
    compute_corpus_digests,
    read_corpus_digests,
    write_corpus_digests,
)
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
GENERATED = generated_part(STUDY.corpus)
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
    """Return a parameter with the settings that a step depends on, as canonical JSON."""
    part_of = getattr(STUDY, f"{part}_settings")
    return lambda wildcards: part_of(*(getattr(wildcards, name) for name in wildcard_names))


@cache
def code_of(script, *modules):
    """Return the digest of a program and the library modules it imports, without comments."""
    return code_digest(SCRIPTS / script, *modules)


def untracked(function):
    """Return a parameter that is no reason to run a step again, such as the path of the corpus.

    `function` is given the wildcards, the input and the output. Snakemake compares a step's
    parameters with those of its last run, except those that are made from its input or output.
    """
    return lambda wildcards, input, output: function(wildcards, input, output)


def options_for_files(name, files):
    """Return a parameter with `--name=FILE` for each input file under a name."""
    return untracked(
        lambda wildcards, input, output: [f"--{name}={path}" for path in getattr(input, files)]
    )


def folder_of(name):
    """Return a parameter with the folder of an output."""
    return untracked(lambda wildcards, input, output: os.path.dirname(getattr(output, name)))


DIGESTS = FileDigests(f"{OUT}/corpus/file_digests.json")


@cache
def corpus_digests():
    """Return the digests of the corpus.

    A corpus that cannot be read counts as it was when it was read last, with a warning: a finished
    study needs it no more, and steps that do need it name what is missing. One that was never read
    is an error.
    """
    path = f"{OUT}/corpus/digests.json"
    last = read_corpus_digests(path, STUDY.shards)
    try:
        found = compute_corpus_digests(STUDY.corpus, STUDY.shards, DIGESTS)
    except CorpusError as error:
        if last is None:
            raise WorkflowError(str(error)) from None
        print(f"warning: {error}. The plan uses the corpus as it was read last.", file=sys.stderr)
        return last
    except DiskError as error:
        raise WorkflowError(str(error)) from None
    if last != found:
        write_corpus_digests(found, path)
    return found


# The path of the corpus is no reason to run again: its content is in the digests.
corpus_settings = untracked(lambda *_: STUDY.corpus_settings())
corpus_root = untracked(lambda *_: STUDY.corpus.root)


def generated_corpus():
    """Return the folder of the corpus, or of the part of it, that must be generated first."""
    return [GENERATED.root] if GENERATED else []
