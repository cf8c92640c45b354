"""Settings of Sphinx; `make docs` builds the pages into build/docs."""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "extension")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_fgvc  # noqa: E402

project = "keras_fgvc"
release = version = keras_fgvc.__version__
copyright = "the keras_fgvc authors, Apache-2.0"

extensions = ["myst_nb", "api_pages"]
# The notebooks run when the pages are built, and again when they change.
nb_execution_mode = os.environ.get("KERAS_FGVC_NOTEBOOKS", "cache")
nb_execution_timeout = 900  # seconds for one cell
nb_execution_raise_on_error = True
nb_merge_streams = True
exclude_patterns = ["extension", "static"]
myst_enable_extensions = ["deflist"]
# A line that begins with a per cent sign is no comment.
myst_disable_syntax = ["myst_line_comment"]
myst_heading_anchors = 3
# Formulas and tables of shapes are indented blocks, and no language.
highlight_language = "none"
python_maximum_signature_line_length = 72

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_title = f"keras_fgvc {release}"
html_copy_source = False
html_show_sphinx = False
