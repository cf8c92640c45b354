"""`python -m keras_fgvc`: the same as the console command `keras-fgvc`."""

import sys

from keras_fgvc.cli import main

if __name__ == "__main__":
    sys.exit(main())
