"""The command line: `keras-fgvc`, or `python -m keras_fgvc`.

Each subcommand is a file with `run(options) -> exit code`, thin over the
library. `parser.py` needs nothing but Python: the console command runs it
before it imports the package.

Exit codes: 0, all was done; 1, something could not be done; 2, wrong usage;
130, interrupted from the keyboard.
"""

from keras_fgvc.cli.command import main, run
from keras_fgvc.cli.recipe_options import make_recipe

__all__ = ["main", "make_recipe", "run"]
