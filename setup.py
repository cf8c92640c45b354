"""Package metadata; build system and tool settings are in pyproject.toml."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
# Read, not imported: the package needs its dependencies to be imported.
VERSION = re.search(
    r'__version__ = "([^"]+)"',
    (HERE / "keras_fgvc" / "_version.py").read_text(encoding="utf-8"),
).group(1)

# importlib_resources, scipy and OpenCV are what tensorflow-datasets 4.9 imports
# and does not require.
DATA = [
    "importlib_resources",
    "opencv-python-headless",
    "scipy",
    "tensorflow-datasets",
]

# What the optional formats of `export` are converted and compared with.
FORMATS = {
    "litert": ["ai-edge-litert"],
    "onnx": ["onnx", "onnxruntime", "tf2onnx"],
}
# gRPC requests to TF Serving; REST needs nothing.
SERVING = ["grpcio", "tensorflow-serving-api"]
# The notebooks of docs/tutorials are executed.
DOCS = ["furo", "ipykernel", "myst-nb", "sphinx"]
# The one place that names where the project lives.
HOME = "https://example.org/keras_fgvc"

setup(
    name="keras-fgvc",
    version=VERSION,
    description="Fine-grained image recognition for Keras 3: layers and "
    "complete published methods.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    url=HOME,
    project_urls={
        "Changelog": f"{HOME}/blob/main/CHANGELOG.md",
        "Documentation": f"{HOME}/docs",
        "Issues": f"{HOME}/issues",
    },
    keywords="keras fine-grained image classification attention",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    packages=find_packages(include=["keras_fgvc", "keras_fgvc.*"]),
    # What the report is made from.
    package_data={
        "keras_fgvc": ["py.typed"],
        "keras_fgvc.visualization": ["page.css", "page.html.jinja"],
    },
    # Beside the package: `keras-fgvc --help` does not wait for its imports.
    py_modules=["keras_fgvc_command"],
    entry_points={"console_scripts": ["keras-fgvc = keras_fgvc_command:main"]},
    python_requires=">=3.10",
    install_requires=[
        "absl-py",
        "keras>=3.12",
        "numpy",
        "pillow",
        "tensorflow>=2.18",
    ],
    extras_require={
        "data": DATA,
        "demo": ["jinja2", "matplotlib", "scikit-learn"],
        "docs": DOCS,
        "hub": ["keras-hub"],
        **FORMATS,
        "serving": SERVING,
        "train": ["tensorboard"],
        "test": [
            *DATA,
            *FORMATS["litert"],
            *FORMATS["onnx"],
            *SERVING,
            *DOCS,
            "jax",
            "pytest",
            "pytest-xdist",
            # Another minor version may format differently.
            "ruff>=0.17,<0.18",
        ],
    },
)
