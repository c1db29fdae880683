"""How speech emotion recognition scales with labelled data, for every representation of speech.

The packages follow the flow of data: `audio` and `corpus` give utterances, `representations` turn
them into features, `store` keeps those, `protocol` deals roles and training orders, `models` and
`training` learn, `evaluation` counts, `reporting` shows. A package imports only from those before
it; `tests/test_packages.py` holds the order.
"""

__version__ = "0.1.0"

SAMPLE_RATE = 16_000
"""Hz; sample rate of the waveforms that every representation is computed from."""
