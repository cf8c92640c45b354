"""`export`: a trained model, written for serving."""

from keras_fgvc import export, training


def run(options) -> int:
    """Writes the model and prints where."""
    trained = training.open_run(options.workdir)
    path = export.export_saved_model(
        trained.load_model(),
        options.out,
        class_names=trained.class_names,
        image_size=trained.recipe.load_size,
        num_top=options.top,
    )
    print(f"SavedModel: {path}")
    return 0
