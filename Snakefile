# How emotion recognition scales with labelled data: the targets, and the rules in the order in
# which the data flows. What each rule does is in workflow/rules, how it does it in
# workflow/emoscale; the study is chosen with --configfile config/<study>.yaml.
from snakemake.utils import min_version

min_version("9.20")

if "study" not in config:

    configfile: "config/demo.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/requests.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/protocol.smk"
include: "workflow/rules/pretraining.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/robustness.smk"
include: "workflow/rules/reporting.smk"


rule all:
    default_target: True
    input:
        rules.audit_corpus.output,
        rules.make_tables.output,
        rules.compare_experiments.output,
        rules.slice_scores.output,
        rules.measure_ceiling.output,
        rules.measure_efficiency.output,
        rules.score_robustness.output if STUDY.robustness_sizes() else [],
        rules.draw_figures.output,
        rules.write_report.output,
