"""Runs a recipe's stages in order, each resumable after any interruption.

```
workdir/
  run.json                    what is trained: recipe, seed, classes, digests
                              of data and network
  training.lock               while a process trains here: which one
  checksums.json              SHA-256 of model.keras; one in each folder
  1-classifier/
    log.csv                   one row an epoch
    tensorboard/
    backup-0003.weights.h5    full state after 3 epochs, until the next stage
    best.weights.h5           the best epoch on validation
    checksums.json            of the weights; the log at each backup
    done.json                 the stage is finished
  2-localizer/ ...
    threshold.json            what `tune_threshold` chose
  model.keras                 the trained model
```

Every file but the logs is written beside its place and then moved there, so
that a process killed at any moment leaves whole files only; a torn last line
of a log is not read. One process at a time trains in a folder; any number may
read it meanwhile.
"""

from keras_fgvc.training.building import baseline_recipe, build_model
from keras_fgvc.training.optimizers import make_optimizer
from keras_fgvc.training.run import Run, open_run
from keras_fgvc.training.stages import fit
from keras_fgvc.training.strategies import STRATEGIES, is_chief, make_strategy

__all__ = [
    "STRATEGIES",
    "Run",
    "baseline_recipe",
    "build_model",
    "fit",
    "is_chief",
    "make_optimizer",
    "make_strategy",
    "open_run",
]
