"""A table of trained models on the same test images.

    python examples/compare.py runs/baseline-* runs/elope-* --out=runs/table
    python examples/compare.py GAP=runs/a GAP=runs/b GKMP=runs/c

Each argument is a work directory of a training, perhaps with a name in front.
Runs that differ in the seed alone become one row, with mean and spread (n - 1)
over seeds; a row is named by its method and by what sets it apart. Differences
to --baseline are paired image by image, see `evaluation.compare`.

Predictions are read from WORKDIR/predictions-SPLIT.npz where that is as new as
the model, else made and saved there: then the data are needed, from where they
were in training or from --data. --out=FOLDER writes comparison.md, .json (all
figures, those of each seed too) and .png (the differences).

A run that is unfinished, damaged, a second one of a seed, or of other images
than the baseline's is left out and named; the exit status then is 1, as it is
without a table.
"""

import json
import pathlib
import sys

from keras_fgvc import evaluation, visualization
from trained_runs import make_rows, read_entry

import keras
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("baseline", None, "Name of a row; default Baseline.")
flags.DEFINE_string("out", None, "Folder for the table and the picture.")
flags.DEFINE_string("split", "test", "Split to judge on.")
flags.DEFINE_string("data", None, "Where the data lie now, if moved.")
flags.DEFINE_string("data_dir", None, "See data.open_dataset.")
flags.DEFINE_enum("verbose", "auto", ["auto", "0", "1"], "0 shows no bar.")


def main(argv):
    if not argv[1:]:
        raise app.UsageError("Name at least one work directory.")
    problems = []
    rows = make_rows(tried(read_entry, argv[1:], problems), problems)
    baseline = choose_baseline(rows, problems)
    judged, opened = [], {}
    # The baseline first: its images are those that all must be of.
    for name in sorted(rows, key=lambda name: name != baseline):
        tried(lambda entry: judge(entry, judged, opened), rows[name], problems)
    kept = {n: [e for e in row if e in judged] for n, row in rows.items()}
    if not kept[baseline]:
        problems.append(f"no run of {baseline!r} is left to compare with")
        stop(problems)
    report({name: row for name, row in kept.items() if row}, baseline)
    if problems:
        stop(problems)


def tried(function, items, problems):
    """Applies a function to each item; errors become problems."""
    made = []
    for item in items:
        try:
            made.append(function(item))
        except (ValueError, OSError) as error:
            problems.append(str(error))
    return made


def stop(problems):
    print("\nleft out:", *problems, sep="\n- ", file=sys.stderr)
    sys.exit(1)


def choose_baseline(rows, problems):
    """--baseline, or the first row of the plain network, or the first row."""
    if not rows:
        stop(problems)
    plain = [name for name in rows if name.split()[0] == "Baseline"]
    baseline = FLAGS.baseline or [*plain, *rows][0]
    if baseline not in rows:
        names = ", ".join(map(repr, rows))
        problems.append(f"--baseline={baseline!r} is no row; there is {names}")
        stop(problems)
    return baseline


def judge(entry, judged, opened):
    """Finds a run's predictions; an error if they are of other images."""
    entry.predictions = predictions_of(entry.run, opened)
    if judged:
        first = judged[0]
        problem = first.predictions.difference_in_images(entry.predictions)
        if problem:
            raise ValueError(
                f"{entry.run.workdir} was not tested on the images of "
                f"{first.run.workdir}: {problem}. Where the data have no test "
                "split of their own the seed cuts it: then compare the runs "
                "of one seed."
            )
    judged.append(entry)


def predictions_of(run, opened):
    """Returns predictions saved after the model, else makes new ones."""
    path = run.workdir / f"predictions-{FLAGS.split}.npz"
    written = (run.workdir / "model.keras").stat().st_mtime_ns
    if path.exists() and path.stat().st_mtime_ns >= written:
        return evaluation.Predictions.load(path)
    images = open_data(run, opened)
    print(f"{run.workdir}: predicting", flush=True)
    keras.backend.clear_session()
    found = evaluation.predict(
        run.load_model(unfinished=True),  # its row names its stages
        images,
        FLAGS.split,
        load_size=run.recipe.load_size,
        verbose="auto" if FLAGS.verbose == "auto" else int(FLAGS.verbose),
    )
    found.save(path)
    return found


def open_data(run, opened):
    """The run's data; those of several runs are opened once."""
    key = json.dumps([run.opened_by, run.class_names], sort_keys=True)
    if key not in opened:
        opened[key] = run.open_data(FLAGS.data, data_dir=FLAGS.data_dir)
    return opened[key]


def report(rows, baseline):
    """Prints the table; with --out, writes it, all figures and a picture."""
    table = evaluation.tabulate(
        {name: [e.predictions for e in row] for name, row in rows.items()},
        baseline,
    )
    count = len(rows[baseline][0].predictions.labels)
    text = (
        f"{table}\n\n{count} images of the split {FLAGS.split!r}. In brackets "
        "the spread over seeds; ± is one standard error of the difference."
    )
    print(f"\n{text}")
    if not FLAGS.out:
        return
    folder = pathlib.Path(FLAGS.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "comparison.md").write_text(text + "\n", encoding="utf-8")
    found = table.as_dict()
    for name, row in rows.items():
        workdirs = [str(entry.run.workdir) for entry in row]
        found["rows"][name]["workdirs"] = workdirs
    text = json.dumps(found, indent=1, allow_nan=False)
    (folder / "comparison.json").write_text(text + "\n")
    if len(rows) > 1:
        visualization.save_comparison(folder / "comparison.png", table)
    print(f"\nwritten: {folder / 'comparison.*'}")


if __name__ == "__main__":
    app.run(main)
