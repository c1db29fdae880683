"""Small networks of every kind, with the shapes of their inputs."""

from __future__ import annotations

from typing import Any

from emoscale.models.contract import InputShape

SPEECH, LAYERED, TEXT = InputShape(6, None, 100.0), InputShape(6, 3, 100.0), InputShape(5)
NETWORKS: dict[str, tuple[list[InputShape], dict[str, Any]]] = {
    "pooled": ([SPEECH], {"kind": "pooled", "pooling": "attentive_statistics"}),
    "layers": ([LAYERED], {"kind": "pooled"}),
    "convolutional": ([SPEECH], {"kind": "convolutional", "layers": [[8, 5], [8, 3]]}),
    "gru": ([SPEECH], {"kind": "recurrent", "hidden_size": 8, "num_layers": 2}),
    "lstm": ([SPEECH], {"kind": "recurrent", "hidden_size": 8, "rnn_type": "lstm"}),
    "early_fusion": ([SPEECH, TEXT], {"kind": "early_fusion"}),
    "late_fusion": (
        [SPEECH, TEXT],
        {"kind": "late_fusion", "branches": [{"kind": "pooled"}, {"kind": "recurrent"}]},
    ),
    "aligned_fusion": (
        [SPEECH, TEXT],
        {"kind": "aligned_fusion", "hidden_size": 8, "num_heads": 2, "within_word": True},
    ),
    "aligned_fusion_of_utterances": (
        [SPEECH, TEXT],
        {"kind": "aligned_fusion", "hidden_size": 8, "num_heads": 2, "within_word": False},
    ),
    "waveform": ([SPEECH], {"kind": "waveform", "layers": [[8, 8, 4], [8, 4, 2]]}),
}
