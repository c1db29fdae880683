"""External representations, as documented in docs/tutorials/own-representation.md."""

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
from emoscale.representations.registry import build_representation, representation_sources
from emoscale.runtime.errors import ConfigurationError
from emoscale.runtime.provenance import code_digest

SETTINGS = ExternalSettings(kind="my_features:Energy", options={"floor": 0.001})


@pytest.fixture
def module(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the example of the documentation to a module on the import path."""
    text = (project / "docs" / "tutorials" / "own-representation.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(code.splitlines()) < 40
    (tmp_path / "my_features.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_features", raising=False)
    return tmp_path / "my_features.py"


def test_the_documented_example_works(module: Path) -> None:
    representation = build_representation(SETTINGS)
    loud, silent = representation.extract(
        [np.full(1600, 0.5, np.float32), np.zeros(800, np.float32)]
    )
    assert loud.shape == (10, 1)
    np.testing.assert_allclose(loud.astype(float), 20 * np.log10(0.5), atol=1e-5)
    np.testing.assert_allclose(silent.astype(float), -60.0, atol=1e-5)


def test_code_changes_its_digest_and_comments_do_not(module: Path) -> None:
    assert representation_sources(SETTINGS.kind) == [module]
    before = code_digest(*representation_sources(SETTINGS.kind))
    text = "from . import other\n" + module.read_text()  # relative imports are not followed
    for number, (new_text, same) in enumerate(
        [(module.read_text() + "# more\n", True), (text, False), (text.replace("20", "10"), False)]
    ):
        module.write_text(new_text)
        os.utime(module, ns=(number, number))
        assert (code_digest(*representation_sources(SETTINGS.kind)) == before) == same


def test_an_installed_package_registers_a_representation(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is installed as by pip: a metadata folder next to the module."""
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
    representation = build_representation(settings)
    (silent,) = representation.extract([np.zeros(800, np.float32)])
    np.testing.assert_allclose(silent, -40.0, atol=1e-5)
    assert representation_sources("energy") == [module]
    # A built-in kind cannot be replaced.
    assert isinstance(adapter.validate_python({"kind": "mfcc"}), MfccSettings)
    external_entry_points.cache_clear()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'modality = "audio"',
            'modality = "speech"',
            "its modality is 'speech', not audio or text",
        ),
        ("dimension = 1", "dimension = 0", "its dimension is 0, not a positive integer"),
        ('dtype = "float16"', 'dtype = "object"', "its dtype is 'object', not one of float16"),
        ("frame_rate = 100.0", "frame_rate = 0", "its frame_rate is 0, not positive or None"),
        ("self.floor = floor", "open('/no/such')", "cannot be built: FileNotFoundError"),
    ],
)
def test_invalid_attributes_are_reported(module: Path, old: str, new: str, message: str) -> None:
    text = module.read_text()
    assert old in text
    module.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigurationError, match=message):
        build_representation(SETTINGS)


def test_a_file_with_the_name_of_a_script_does_not_replace_it(module: Path, project: Path) -> None:
    other = module.with_name("extract_features.py")
    other.write_text("x = 1\n")
    program = project / "scripts" / "extract_features.py"
    assert code_digest(program, other) != code_digest(other)
    assert code_digest(program, other) != code_digest(program)
    other.write_text("def broken(:\n")
    os.utime(other, ns=(1, 1))
    with pytest.raises(ConfigurationError, match=r"extract_features\.py is not valid Python"):
        code_digest(other)


def test_a_representation_is_moved_to_the_device(module: Path) -> None:
    module.write_text(
        module.read_text() + "\n    def to(self, device):\n        self.device = device\n"
    )
    representation: Any = build_representation(SETTINGS, "cuda")
    assert representation.device == "cuda"


def test_a_missing_module_has_no_sources() -> None:
    assert representation_sources("no.such.module:Class") == []


def test_external_code_may_import_torchaudio(tmp_path: Path, project: Path) -> None:
    """Run in a subprocess, because torchaudio may be imported already in this process."""
    (tmp_path / "external").mkdir()
    (tmp_path / "external" / "__init__.py").write_text("import torchaudio\n")
    (tmp_path / "external" / "features.py").write_text(
        "import torch\nimport torchaudio\n\n\n"
        "class Mel:\n"
        '    modality, dimension, frame_rate, dtype = "audio", 128, 80.0, "float32"\n\n'
        "    def extract(self, batch):\n"
        "        mel = torchaudio.transforms.MelSpectrogram(16000)\n"
        "        return [mel(torch.from_numpy(waveform)).T.numpy() for waveform in batch]\n"
    )
    program = (
        "import numpy as np\n"
        "from emoscale.config.representations import ExternalSettings\n"
        "from emoscale.representations import registry\n"
        "sources = registry.representation_sources('external.features:Mel')\n"
        "print([path.name for path in sources])\n"
        "settings = ExternalSettings(kind='external.features:Mel')\n"
        "representation = registry.build_representation(settings)\n"
        "print(representation.extract([np.zeros(16000, np.float32)])[0].shape)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": f"{project / 'workflow'}:{tmp_path}"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["['features.py']", "(81, 128)"]
