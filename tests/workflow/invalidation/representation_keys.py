"""Table rows: keys of representations and checkpoints."""

from __future__ import annotations

from tests.workflow.invalidation.effects import extraction_jobs, jobs_of
from tests.workflow.invalidation.row import Row, no_effect, representation
from tests.workflow.invalidation.studies import EXTERNAL
from tests.workflow.touched_study import WEIGHTS_SHA256

KEYS: dict[str, Row] = {
    "representations(LogMelSettings).window_seconds": representation(
        "logmel", 0.03, "window_seconds"
    ),
    "representations(LogMelSettings).hop_seconds": representation("logmel", 0.02, "hop_seconds"),
    "representations(LogMelSettings).mel_bands": representation("logmel", 40, "mel_bands"),
    "representations(LogMelSettings).kind": representation("logmel", "mfcc", "kind"),
    "representations(MfccSettings).window_seconds": representation("mfcc", 0.03, "window_seconds"),
    "representations(MfccSettings).hop_seconds": representation("mfcc", 0.02, "hop_seconds"),
    "representations(MfccSettings).mel_bands": representation("mfcc", 60, "mel_bands"),
    "representations(MfccSettings).kind": representation("mfcc", "logmel", "kind"),
    "representations(MfccSettings).coefficients": representation("mfcc", 13, "coefficients"),
    "representations(MfccSettings).deltas": representation("mfcc", 2, "deltas"),
    "representations(MfccSettings).cepstral_mean_normalisation": representation(
        "mfcc", True, "cepstral_mean_normalisation"
    ),
    "representations(OpensmileSettings).kind": representation("opensmile", {"kind": "mfcc"}, ""),
    "representations(OpensmileSettings).feature_set": representation(
        "opensmile", "ComParE_2016", "feature_set"
    ),
    "representations(OpensmileSettings).feature_level": representation(
        "opensmile", "frames", "feature_level"
    ),
    "representations(WaveformSettings).kind": representation(
        "waveform", {"kind": EXTERNAL}, "", **{"experiments.waveform.model": "pooled"}
    ),
    "representations(Wav2VecSettings).backend": representation("wav2vec", "fairseq", "backend"),
    "representations(VqWav2VecSettings).backend": representation("vq", "fairseq", "backend"),
    "representations(Wav2VecSettings).kind": representation("wav2vec", "vq_wav2vec", "kind"),
    "representations(Wav2VecSettings).precision": representation(
        "wav2vec", "bfloat16", "precision"
    ),
    "representations(Wav2VecSettings).storage_dtype": representation(
        "wav2vec", "float32", "storage_dtype"
    ),
    "representations(Wav2VecSettings).checkpoint": representation("wav2vec", "my.pt", "checkpoint"),
    "representations(Wav2VecSettings).output": representation("wav2vec", "z", "output"),
    "representations(VqWav2VecSettings).kind": representation("vq", "wav2vec", "kind"),
    "representations(VqWav2VecSettings).precision": representation("vq", "bfloat16", "precision"),
    "representations(VqWav2VecSettings).storage_dtype": representation(
        "vq", "float32", "storage_dtype"
    ),
    "representations(VqWav2VecSettings).checkpoint": representation("vq", "my.pt", "checkpoint"),
    "representations(VqWav2VecSettings).output": representation("vq", "c", "output"),
    "representations(CodeRobertaSettings).kind": representation(
        "roberta", {"kind": "vq_wav2vec", "checkpoint": "vq.pt"}, ""
    ),
    "representations(CodeRobertaSettings).checkpoint": representation(
        "roberta", "my.pt", "checkpoint"
    ),
    "representations(CodeRobertaSettings).model": representation("roberta", "my.pt", "model"),
    "representations(TransformersAudioSettings).kind": representation(
        "wav2vec2", {"kind": EXTERNAL}, ""
    ),
    "representations(TransformersAudioSettings).model": representation("wav2vec2", "mine", "model"),
    "representations(TransformersAudioSettings).chunk_seconds": representation(
        "wav2vec2", 30.0, "chunk_seconds"
    ),
    "representations(TransformersTextSettings).kind": representation(
        "bert", {"kind": EXTERNAL}, ""
    ),
    "representations(TransformersTextSettings).model": representation("bert", "mine", "model"),
    "representations(TransformersTextSettings).tags": representation("bert", "keep", "tags"),
    "representations(TransformersTextSettings).special_tokens": representation(
        "bert", "keep", "special_tokens"
    ),
    "representations(TransformersTextSettings).prefix": representation("bert", "query: ", "prefix"),
    "representations(ExternalSettings).kind": representation("external", "mfcc", "kind"),
    "representations(ExternalSettings).options": representation(
        "external", {"scale": 2.0}, "options"
    ),
    **{
        f"representations({kind}).{key}": representation(name, value, key)
        for kind, name in (
            ("CodeRobertaSettings", "roberta"),
            ("TransformersAudioSettings", "wav2vec2"),
            ("TransformersTextSettings", "bert"),
        )
        for key, value in (
            ("precision", "bfloat16"),
            ("storage_dtype", "float32"),
            ("layer", [0, 1, 2] if name == "wav2vec2" else 1),
        )
    },
    "checkpoints(DownloadedFile).url": Row(
        "https://example.org/v.pt",
        jobs_of("fetch_checkpoint", subject="file") | extraction_jobs("wav2vec"),
        "fetching; extraction with this checkpoint, and all later steps",
        "checkpoints.file.url",
    ),
    "checkpoints(DownloadedFile).sha256": no_effect(WEIGHTS_SHA256, "checkpoints.file.sha256"),
    "checkpoints(HubModel).hub": Row(
        "other/model",
        jobs_of("fetch_checkpoint", subject="hub") | extraction_jobs("bert"),
        "fetching; extraction with this checkpoint, and all later steps",
        "checkpoints.hub.hub",
    ),
    "checkpoints(HubModel).revision": Row(
        "v1",
        jobs_of("fetch_checkpoint", subject="hub") | extraction_jobs("bert"),
        "fetching; extraction with this checkpoint, and all later steps",
        "checkpoints.hub.revision",
    ),
    "checkpoints(UntrainedModel).untrained": Row(
        "bert",
        jobs_of("fetch_checkpoint", subject="untrained") | extraction_jobs("wav2vec2"),
        "generation; extraction with this checkpoint, and all later steps",
        "checkpoints.untrained.untrained",
    ),
    "checkpoints(UntrainedModel).seed": Row(
        2,
        jobs_of("fetch_checkpoint", subject="untrained") | extraction_jobs("wav2vec2"),
        "generation; extraction with this checkpoint, and all later steps",
        "checkpoints.untrained.seed",
    ),
}
