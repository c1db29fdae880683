"""Whether a pack may start is answered as Snakemake answers it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import PROJECT

SNAKEFILE = """
import atexit
import json
import sys
from snakemake.dag import DAG
sys.path.insert(0, config["library"])
from emoscale.scheduling.ready_packs import install_ready_packs

its_own = DAG._ready
assert install_ready_packs() and install_ready_packs()
kept_counts = DAG._ready
answers = []

def both(graph, job):
    expected, seen = its_own(graph, job), kept_counts(graph, job)
    pack = graph._group.get(job)
    answers.append([job.rule.name, 0 if pack is None else len(pack.jobs), expected, seen])
    return seen

DAG._ready = both

rule all:
    input: "sum.txt", "alone.txt"
rule cut:
    output: "{number}.cut"
    group: "pack"
    shell: "echo {wildcards.number} > {output}"
rule measure:
    input: "{number}.cut"
    output: "{number}.measured"
    group: "pack"
    shell: "cp {input} {output}"
rule train:
    input: expand("{number}.measured", number=range(3))
    output: "{size}.trained"
    group: "trainings"
    shell: "cat {input} > {output}"
rule alone:
    output: "alone.txt"
    shell: "touch {output}"
rule add:
    input: "alone.txt", expand("{size}.trained", size=range(5)), "0.cut"
    output: "added.txt"
    group: "tables"
    shell: "cat {input} > {output}"
rule draw:
    input: "added.txt"
    output: "sum.txt"
    group: "tables"
    shell: "cp {input} {output}"

@atexit.register
def keep_answers():
    with open("answers.json", "w") as file:
        json.dump(answers, file)
"""
"""Packs with steps that wait for one another inside, and two to a job; one that waits for all."""


def test_packs_are_ready_when_snakemake_says_so(tmp_path: Path) -> None:
    """In a dry run, which forms packs and ends steps as a cluster would."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    program = [str(Path(sys.executable).with_name("snakemake")), "--cores", "2", "--dry-run"]
    program += ["--config", f"library={PROJECT / 'workflow'}"]
    program += ["--group-components", "pack=2", "trainings=2"]
    ran = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert [(rule, pack, seen) for rule, pack, expected, seen in answers if seen != expected] == []
    told = {(rule, pack, seen) for rule, pack, _, seen in answers}
    # four steps in a pack of two components, two in one; a pack of tables that waits, and goes
    assert {("measure", 4, True), ("cut", 2, True), ("train", 2, False), ("train", 2, True)} <= told
    assert {("draw", 2, False), ("draw", 2, True), ("alone", 0, True)} <= told
