"""The wheel holds what the package needs, and works without the checkout."""

import pathlib
import re
import subprocess
import sys
import zipfile

import keras
import pytest

ROOT = pathlib.Path(__file__).parent.parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="once is enough"
    ),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, unpacked; built from a copy, since building writes files."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("needs a git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            copy = folder / "source" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*command, str(folder / "source")], check=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as file:
        file.extractall(folder / "installed")
    return folder / "installed"


def test_wheel_holds_the_package_and_nothing_else(wheel):
    found = {path.name for path in wheel.iterdir()}
    (metadata,) = (name for name in found if name.endswith(".dist-info"))
    assert found == {"keras_fgvc", "keras_fgvc_command.py", metadata}
    wanted = {
        path.relative_to(ROOT)
        for path in (ROOT / "keras_fgvc").rglob("*")
        if path.suffix in (".py", ".css", ".jinja", ".typed")
    }
    there = {path.relative_to(wheel) for path in wheel.rglob("*")}
    assert not wanted - there


def test_metadata_have_what_a_registry_shows(wheel):
    (path,) = wheel.glob("*.dist-info/METADATA")
    text = path.read_text(encoding="utf-8")
    for line in (
        "Name: keras-fgvc",
        "License-File: LICENSE",
        "Classifier: Typing :: Typed",
        "Description-Content-Type: text/markdown",
        "Requires-Dist: keras>=3.12",
    ):
        assert f"\n{line}\n" in text, line
    assert "\nProject-URL: Changelog, https://" in text


def test_the_readme_runs_from_the_wheel(wheel, tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    layer, method = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    printed = run(
        wheel,
        tmp_path,
        "-c",
        f"import keras_fgvc\nprint(keras_fgvc.__file__)\n{layer}\n"
        f"print(model.output_shape)\n{method}\nprint(model.num_classes)",
    )
    assert str(wheel) in printed
    assert "(None, 5)\n4\n" in printed


def test_the_command_runs_from_the_wheel(wheel, tmp_path):
    (scripts,) = wheel.glob("*.dist-info/entry_points.txt")
    assert "keras-fgvc = keras_fgvc_command:main" in scripts.read_text()
    printed = run(wheel, tmp_path, "-m", "keras_fgvc_command", "--help")
    assert "train" in printed


def run(wheel, folder, *arguments):
    finished = subprocess.run(
        # Not the checkout, which is installed as editable.
        [sys.executable, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(wheel), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished.stdout
