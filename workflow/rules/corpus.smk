# From a corpus as it is delivered to the utterance table and the shards that are extracted. A shard's
# audio is checked on its own, so that one more recording reads and extracts one shard again.
if IS_DEMO:

    rule generate_demo:
        output:
            directory(STUDY.corpus.root),
        log:
            f"{OUT}/logs/generate_demo.log",
        benchmark:
            f"{OUT}/benchmarks/generate_demo.tsv"
        conda:
            ENVIRONMENT
        threads: 2
        params:
            settings=STUDY.corpus_slice(),
            code=code_of("generate_demo.py", "emoscale.corpus.demo.speak"),
        message:
            "generate the synthetic demo corpus"
        shell:
            'python "$EMOSCALE_SCRIPTS"/generate_demo.py --settings {params.settings:q} > {log:q} 2>&1'


# Where a corpus lies is no reason to read it again: what it holds is in the survey. (Snakemake does
# not compare parameters that look at the input or output.)
rule read_shard:
    input:
        generated_corpus(),
    output:
        recordings=f"{OUT}/corpus/shards/{{shard}}.parquet",
        rejected=f"{OUT}/corpus/rejected/{{shard}}.parquet",
    log:
        f"{OUT}/logs/read_shard/{{shard}}.log",
    benchmark:
        f"{OUT}/benchmarks/read_shard/{{shard}}.tsv"
    group:
        READING_GROUP
    conda:
        ENVIRONMENT
    resources:
        runtime=reading_minutes,
    params:
        settings=lambda wildcards, output: STUDY.corpus_slice(),
        audio=STUDY.audio_slice(),
        files=lambda wildcards: survey().audio[int(wildcards.shard)],
        shard=lambda wildcards: int(wildcards.shard),
        shards=STUDY.shards,
        code=code_of("read_shard.py", *modules_of(STUDY.corpus)),
    message:
        "read shard {wildcards.shard} of the corpus and check every recording"
    shell:
        'python "$EMOSCALE_SCRIPTS"/read_shard.py --settings {params.settings:q} --audio {params.audio:q}'
        " --shard {params.shard} --shards {params.shards} --recordings {output.recordings:q}"
        " --rejected {output.rejected:q} > {log:q} 2>&1"


rule read_texts:
    input:
        generated_corpus(),
        shard=rules.read_shard.output.recordings,
    output:
        f"{OUT}/corpus/texts/{{shard}}.parquet",
    log:
        f"{OUT}/logs/read_texts/{{shard}}.log",
    benchmark:
        f"{OUT}/benchmarks/read_texts/{{shard}}.tsv"
    group:
        READING_GROUP
    conda:
        ENVIRONMENT
    resources:
        runtime=reading_minutes,
    params:
        settings=lambda wildcards, output: STUDY.corpus_slice(),
        texts=lambda wildcards: survey().texts[int(wildcards.shard)],
        code=code_of("read_texts.py", *modules_of(STUDY.corpus)),
    message:
        "read the texts of shard {wildcards.shard}"
    shell:
        'python "$EMOSCALE_SCRIPTS"/read_texts.py --settings {params.settings:q}'
        " --shard {input.shard:q} --output {output:q} > {log:q} 2>&1"


rule read_corpus:
    input:
        generated_corpus(),
        shards=expand(rules.read_shard.output.recordings, shard=STUDY.shard_names()),
        rejected=expand(rules.read_shard.output.rejected, shard=STUDY.shard_names()),
    output:
        recordings=f"{OUT}/corpus/recordings.parquet",
        rejected=f"{OUT}/corpus/rejected.parquet",
        rejected_csv=report(
            f"{OUT}/corpus/rejected.csv",
            caption="../report/rejected.rst",
            category="Corpus",
            labels={"table": "left out of the corpus"},
        ),
        survey=SURVEY,
    log:
        f"{OUT}/logs/read_corpus.log",
    benchmark:
        f"{OUT}/benchmarks/read_corpus.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=lambda wildcards, output: STUDY.corpus_slice(),
        declared=lambda wildcards: survey().declared,
        code=code_of("read_corpus.py", *modules_of(STUDY.corpus)),
    message:
        "gather the corpus: what it says, and what its audio is"
    shell:
        'python "$EMOSCALE_SCRIPTS"/read_corpus.py --settings {params.settings:q}'
        " --recordings {output.recordings:q} --rejected {output.rejected:q} --survey {output.survey:q}"
        " {input.shards:q} {input.rejected:q} > {log:q} 2>&1"


rule label_corpus:
    input:
        recordings=rules.read_corpus.output.recordings,
    output:
        utterances=f"{OUT}/corpus/utterances.parquet",
    log:
        f"{OUT}/logs/label_corpus.log",
    benchmark:
        f"{OUT}/benchmarks/label_corpus.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=STUDY.labels_slice(),
        code=code_of("label_corpus.py"),
    message:
        "give every utterance the study's class"
    shell:
        'python "$EMOSCALE_SCRIPTS"/label_corpus.py --settings {params.settings:q}'
        " --recordings {input.recordings:q} --utterances {output.utterances:q} > {log:q} 2>&1"
