# From a corpus as it is delivered to the utterance table and the shards that are extracted.
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


rule read_corpus:
    input:
        generated_corpus(),
    output:
        recordings=f"{OUT}/corpus/recordings.parquet",
        rejected=f"{OUT}/corpus/rejected.parquet",
        rejected_csv=report(
            f"{OUT}/corpus/rejected.csv",
            caption="../report/rejected.rst",
            category="Corpus",
            labels={"table": "left out of the corpus"},
        ),
    log:
        f"{OUT}/logs/read_corpus.log",
    benchmark:
        f"{OUT}/benchmarks/read_corpus.tsv"
    conda:
        ENVIRONMENT
    threads: 2
    params:
        settings=STUDY.corpus_slice(),
        audio=STUDY.audio_slice(),
        listing=corpus_listing(),
        code=code_of("read_corpus.py", *modules_of(STUDY.corpus)),
    message:
        "read the corpus and check every recording"
    shell:
        'python "$EMOSCALE_SCRIPTS"/read_corpus.py --settings {params.settings:q} --audio {params.audio:q}'
        " --recordings {output.recordings:q} --rejected {output.rejected:q} --threads {threads}"
        " > {log:q} 2>&1"


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


rule deal_shards:
    input:
        recordings=rules.read_corpus.output.recordings,
    output:
        expand(f"{OUT}/corpus/shards/{{shard}}.parquet", shard=STUDY.shard_names()),
    log:
        f"{OUT}/logs/deal_shards.log",
    benchmark:
        f"{OUT}/benchmarks/deal_shards.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code_of("deal_shards.py"),
    message:
        "deal the utterances to shards"
    shell:
        'python "$EMOSCALE_SCRIPTS"/deal_shards.py --recordings {input.recordings:q} {output:q} > {log:q} 2>&1'
