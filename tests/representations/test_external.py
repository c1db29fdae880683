"""A representation from outside the project, as docs/adding-a-representation.md says it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from emoscale.config.representations import (
    ExternalSettings,
    MfccSettings,
    RepresentationSettings,
    external_entry_points,
)
from emoscale.representations.registry import build_representation, sources_of
from emoscale.runtime.errors import ConfigurationError
from emoscale.runtime.provenance import code_digest

SETTINGS = ExternalSettings(kind="my_features:Energy", options={"floor": 0.001})


@pytest.fixture
def module(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The document's own example, as a file on the path."""
    text = (project / "docs" / "adding-a-representation.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(code.splitlines()) < 40
    (tmp_path / "my_features.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_features", raising=False)
    return tmp_path / "my_features.py"


def test_the_documents_example_works(module: Path) -> None:
    made = build_representation(SETTINGS)
    loud, silent = made.extract([np.full(1600, 0.5, np.float32), np.zeros(800, np.float32)])
    assert loud.shape == (10, 1)
    np.testing.assert_allclose(loud.astype(float), 20 * np.log10(0.5), atol=1e-5)
    np.testing.assert_allclose(silent.astype(float), -60.0, atol=1e-5)


def test_its_code_counts_and_its_comments_do_not(module: Path) -> None:
    assert sources_of(SETTINGS.kind) == [module]
    before = code_digest(*sources_of(SETTINGS.kind))
    text = "from . import other\n" + module.read_text()  # a package's own import is not followed
    for number, (new, same) in enumerate(
        [(module.read_text() + "# more\n", True), (text, False), (text.replace("20", "10"), False)]
    ):
        module.write_text(new)
        os.utime(module, ns=(number, number))
        assert (code_digest(*sources_of(SETTINGS.kind)) == before) == same


def test_an_installed_package_registers_its_representation(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pip leaves it: a folder of metadata beside the module."""
    metadata = module.parent / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[emoscale.representations]\nenergy = my_features:Energy\nmfcc = my_features:Energy\n"
    )
    external_entry_points.cache_clear()
    adapter = TypeAdapter(RepresentationSettings)
    settings = adapter.validate_python({"kind": "energy", "options": {"floor": 0.01}})
    assert isinstance(settings, ExternalSettings)
    made = build_representation(settings)
    (silent,) = made.extract([np.zeros(800, np.float32)])
    np.testing.assert_allclose(silent, -40.0, atol=1e-5)
    assert sources_of("energy") == [module]
    # A name of the project's own cannot be taken.
    assert isinstance(adapter.validate_python({"kind": "mfcc"}), MfccSettings)
    external_entry_points.cache_clear()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            'modality = "audio"',
            'modality = "speech"',
            "its modality is 'speech', not audio or text",
        ),
        ("dimension = 1", "dimension = 0", "its dimension is 0, not a number of values"),
        ('dtype = "float16"', 'dtype = "object"', "its dtype is 'object', not one of float16"),
        ("frame_rate = 100.0", "frame_rate = 0", "its frame_rate is 0; it is above 0, or None"),
        ("self.floor = floor", "open('/no/such')", "cannot be made: FileNotFoundError"),
    ],
)
def test_a_broken_promise_is_a_sentence(module: Path, old: str, new: str, sentence: str) -> None:
    text = module.read_text()
    assert old in text
    module.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigurationError, match=sentence):
        build_representation(SETTINGS)


def test_a_file_named_like_one_of_the_projects_hides_none(module: Path, project: Path) -> None:
    other = module.with_name("extract_features.py")
    other.write_text("x = 1\n")
    program = project / "scripts" / "extract_features.py"
    assert code_digest(program, other) != code_digest(other)
    assert code_digest(program, other) != code_digest(program)
    other.write_text("def broken(:\n")
    os.utime(other, ns=(1, 1))
    with pytest.raises(ConfigurationError, match=r"extract_features\.py is not Python"):
        code_digest(other)


def test_it_is_told_the_device(module: Path) -> None:
    module.write_text(
        module.read_text() + "\n    def to(self, device):\n        self.device = device\n"
    )
    made: Any = build_representation(SETTINGS, "cuda")
    assert made.device == "cuda"


def test_one_that_is_not_there_has_no_code() -> None:
    assert sources_of("no.such.module:Class") == []


def test_one_that_imports_torchaudio_works_beside_any_torch(tmp_path: Path, project: Path) -> None:
    """In a process of its own: a torchaudio that is imported already would hide what is tested."""
    (tmp_path / "heard").mkdir()
    (tmp_path / "heard" / "__init__.py").write_text("import torchaudio\n")
    (tmp_path / "heard" / "features.py").write_text(
        "import torch\nimport torchaudio\n\n\n"
        "class Mel:\n"
        '    modality, dimension, frame_rate, dtype = "audio", 128, 80.0, "float32"\n\n'
        "    def extract(self, batch):\n"
        "        mel = torchaudio.transforms.MelSpectrogram(16000)\n"
        "        return [mel(torch.from_numpy(one)).T.numpy() for one in batch]\n"
    )
    program = (
        "import numpy as np\n"
        "from emoscale.config.representations import ExternalSettings\n"
        "from emoscale.representations.registry import build_representation, sources_of\n"
        "print([path.name for path in sources_of('heard.features:Mel')])\n"
        "made = build_representation(ExternalSettings(kind='heard.features:Mel'))\n"
        "print(made.extract([np.zeros(16000, np.float32)])[0].shape)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": f"{project / 'workflow'}:{tmp_path}"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["['features.py']", "(81, 128)"]
