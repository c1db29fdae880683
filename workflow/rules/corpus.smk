# From the corpus to the utterance table and the shards. Each shard is checked separately, so that a
# new recording reads and extracts one shard only; texts are separate from labels, so that a corrected
# transcript changes no fold.
from emoscale.corpus.readers import reader_modules

if GENERATED:

    rule generate_demo:
        output:
            directory(GENERATED.root),
        log:
            f"{OUT}/logs/generate_demo.log",
        benchmark:
            f"{OUT}/benchmarks/generate_demo.tsv"
        priority: 150  # before a pre-training, beside which two cores are not free
        conda:
            ENVIRONMENT
        threads: 2
        params:
            corpus=canonical_json(GENERATED.model_dump(mode="json", exclude={"name"})),
            code=code_of("generate_demo.py", "emoscale.corpus.demo.text_to_speech"),
        message:
            "generate the synthetic demo corpus"
        shell:
            'python "$EMOSCALE_SCRIPTS"/generate_demo.py --corpus {params.corpus:q} > {log:q} 2>&1'


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
        corpus=corpus_settings,
        audio=settings_of("audio"),
        content=lambda wildcards: corpus_digests().audio[int(wildcards.shard)],
        shards=STUDY.shards,
        code=code_of("read_shard.py", *reader_modules(STUDY.corpus)),
    message:
        "read shard {wildcards.shard} of the corpus and check every recording"
    shell:
        'python "$EMOSCALE_SCRIPTS"/read_shard.py --corpus {params.corpus:q} --audio {params.audio:q}'
        " --shard {wildcards.shard} --shards {params.shards} --recordings {output.recordings:q}"
        " --rejected {output.rejected:q} > {log:q} 2>&1"


rule gather_texts:
    input:
        generated_corpus(),
        shards=expand(rules.read_shard.output.recordings, shard=STUDY.shard_names()),
    output:
        f"{OUT}/corpus/texts.parquet",
    log:
        f"{OUT}/logs/gather_texts.log",
    benchmark:
        f"{OUT}/benchmarks/gather_texts.tsv"
    conda:
        ENVIRONMENT
    resources:
        runtime=corpus_minutes,
    params:
        corpus=corpus_settings,
        content=corpus_digests().texts,
        code=code_of("read_texts.py", *reader_modules(STUDY.corpus)),
    message:
        "read all texts"
    shell:
        'python "$EMOSCALE_SCRIPTS"/read_texts.py --corpus {params.corpus:q}'
        " --output {output:q} {input.shards:q} > {log:q} 2>&1"


# Texts of one shard, for representations of text: a new transcript extracts one shard only.
use rule gather_texts as read_texts with:
    input:
        generated_corpus(),
        shards=rules.read_shard.output.recordings,
    output:
        f"{OUT}/corpus/texts/{{shard}}.parquet",
    log:
        f"{OUT}/logs/read_texts/{{shard}}.log",
    benchmark:
        f"{OUT}/benchmarks/read_texts/{{shard}}.tsv"
    group:
        TEXTS_GROUP
    resources:
        runtime=reading_minutes,
    params:
        content=lambda wildcards: corpus_digests().texts[int(wildcards.shard)],
    message:
        "read the texts of shard {wildcards.shard}"


rule list_speakers:
    input:
        generated_corpus(),
        shards=expand(rules.read_shard.output.recordings, shard=STUDY.shard_names()),
    output:
        f"{OUT}/corpus/speakers.parquet",
    log:
        f"{OUT}/logs/list_speakers.log",
    benchmark:
        f"{OUT}/benchmarks/list_speakers.tsv"
    conda:
        ENVIRONMENT
    params:
        corpus=corpus_settings,
        content=corpus_digests().speakers,
        code=code_of("list_speakers.py", *reader_modules(STUDY.corpus)),
    message:
        "list the recordings with their speakers"
    shell:
        'python "$EMOSCALE_SCRIPTS"/list_speakers.py --corpus {params.corpus:q} --output {output:q}'
        " {input.shards:q} > {log:q} 2>&1"


rule read_corpus:
    input:
        generated_corpus(),
        shards=expand(rules.read_shard.output.recordings, shard=STUDY.shard_names()),
        rejected=expand(rules.read_shard.output.rejected, shard=STUDY.shard_names()),
    output:
        recordings=f"{OUT}/corpus/recordings.parquet",
        rejected=f"{OUT}/corpus/rejected.parquet",
        rejected_csv=f"{OUT}/corpus/rejected.csv",
    log:
        f"{OUT}/logs/read_corpus.log",
    benchmark:
        f"{OUT}/benchmarks/read_corpus.tsv"
    conda:
        ENVIRONMENT
    params:
        corpus=corpus_settings,
        content=corpus_digests().declared,
        code=code_of("read_corpus.py", *reader_modules(STUDY.corpus)),
    message:
        "join the corpus's labels with its audio"
    shell:
        'python "$EMOSCALE_SCRIPTS"/read_corpus.py --corpus {params.corpus:q}'
        " --recordings {output.recordings:q} --rejected {output.rejected:q}"
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
        labels=settings_of("labels"),
        code=code_of("label_corpus.py"),
    message:
        "assign every utterance its class"
    shell:
        'python "$EMOSCALE_SCRIPTS"/label_corpus.py --labels {params.labels:q}'
        " --recordings {input.recordings:q} --utterances {output.utterances:q} > {log:q} 2>&1"
