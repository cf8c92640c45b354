"""A model's config is what its constructor was called with.

`keeps_arguments` wraps each constructor of a method. It reads the arguments by
the constructor's signature and makes each one an attribute of the same name,
so that a constructor names an argument in its signature and where it is used,
and nowhere else. `get_config` reads the attributes again.
"""

import functools
import inspect
import warnings

import keras

from keras_fgvc._checks import as_plain
from keras_fgvc._renamed import warn_of_name
from keras_fgvc.backbones.nested import import_hub_for
from keras_fgvc.backbones.presets import settle_arguments
from keras_fgvc.backbones.weights import left_out
from keras_fgvc.models._changed_layers import (
    change_again,
    changes,
    config_of_model,
    configs_of_layers,
    holds_layers,
    with_trainable,
)
from keras_fgvc.models._constructors import (
    ATTRIBUTES,
    positional,
    split,
    takes,
)
from keras_fgvc.models._formats import legacy_error, refuse_legacy_format

CHANGES = "changed_layers"  # key of the config


def keeps_arguments(init, owner):
    """Wraps a constructor: its arguments become attributes and the config.

    Of a class and its parents, the outermost constructor's arguments are the
    config, and those that it passes on by `*args` and `**kwargs`. Numbers of
    NumPy become Python's. After the constructor the model is ready for its
    first phase.

    Args:
        init: The constructor.
        owner: The class that defines it.
    """
    signature = inspect.signature(init)

    @functools.wraps(init)
    def wrapper(self, *args, **kwargs):
        kwargs = _renamed(type(self), kwargs)
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError:
            init(self, *args, **kwargs)  # raises it with the class's name
            raise
        bound.apply_defaults()
        _settle_backbone(self, bound.arguments)
        given = list(bound.arguments.items())[1:]  # all but the model
        bound.arguments.update(as_plain(dict(given)))
        arguments, passed_on = split(bound)
        is_outermost = "_argument_names" not in vars(self)
        if is_outermost:
            names = (*arguments, *passed_on, *positional(bound, owner))
            object.__setattr__(self, "_argument_names", names)
        for name, value in arguments.items():
            _keep(self, name, value)
        init(*bound.args, **bound.kwargs)
        if is_outermost:
            object.__setattr__(self, "_as_built", _AsBuilt(self))
            self._enter_first_phase()

    # Keras asks for the signature without looking behind wrappers.
    wrapper.__signature__ = signature
    return wrapper


class SavedArguments(keras.Model):
    """Makes a model with a graph of its own savable by its arguments."""

    _is_saved = True

    def __init_subclass__(cls, *, keep_arguments: bool = True, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls._is_saved = keep_arguments
            if keep_arguments:
                cls.__init__ = keeps_arguments(cls.__init__, cls)

    def get_config(self):
        # Not super().get_config(): it would list the graph's layers, which
        # the constructor builds again.
        refuse_legacy_format(self)
        if not self._is_saved and type(self).get_config is _GET_CONFIG:
            raise NotImplementedError(
                f"{type(self).__name__} was declared with "
                "keep_arguments=False, so that a file could not hold its "
                "arguments. Leave keep_arguments out, or define `get_config`, "
                "to save the model."
            )
        built = getattr(self, "_as_built", None) or _AsBuilt(self)
        config = {
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(built.policy),
            "num_classes": self.num_classes,
            "stage": self.stage,
            "loss_weights": dict(self.loss_weights),
        }
        for name in _names(self):
            value = getattr(self, ATTRIBUTES.get(name, name))
            if isinstance(value, keras.Model):
                value = keras.saving.serialize_keras_object(value)
                value = with_trainable(built.models.get(name) or value, value)
            elif holds_layers(value):
                value = keras.saving.serialize_keras_object(value)
            config[name] = value
        changed = changes(self, built.layers)
        if changed:
            config[CHANGES] = changed
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Builds the graph under the saved precision, in the saved stage.

        What the user froze is not in a config: it trains again.
        """
        config = cls._with_new_names(dict(config))
        stage = config.pop("stage")
        loss_weights = config.pop("loss_weights", None)
        changed = config.pop(CHANGES, {})
        policy = keras.saving.deserialize_keras_object(config.pop("dtype"))
        if isinstance(config.get("backbone"), dict):
            import_hub_for(config["backbone"])
            if takes(cls, "preprocessing"):  # older files have none
                config.setdefault("preprocessing", "none")
            config["backbone"] = keras.saving.deserialize_keras_object(
                config["backbone"], custom_objects=custom_objects
            )
        for name, value in config.items():
            if isinstance(value, list):  # JSON has no tuples
                config[name] = tuple(value)
            elif isinstance(value, dict):
                config[name] = keras.saving.deserialize_keras_object(
                    value, custom_objects=custom_objects
                )
        config.pop("weights", None)  # never saved, and so never obeyed
        if takes(cls, "weights"):
            config["weights"] = None  # they follow: load no others before
        current = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            with left_out():  # not those of a user's constructor either
                model = cls(**config)
        finally:
            keras.config.set_dtype_policy(current)
        change_again(model, changed)
        model._enter(stage)
        if loss_weights is not None:  # files from before 0.8 have none
            model.loss_weights = dict(loss_weights)
        return model

    def save(self, filepath, *args, **kwargs):
        """Saves as `keras.Model.save` does, in the `.keras` format only.

        Raises:
            ValueError: If `filepath` ends in `.h5` or `.hdf5`, or a layer was
                changed after construction in a way that no file can hold.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise legacy_error(self, filepath)
        return super().save(filepath, *args, **kwargs)

    def _run_through_graph(self, inputs, *args, **kwargs):
        # `keras.models.clone_model` has no hook of its own.
        caller = getattr(kwargs.get("operation_fn"), "__module__", "")
        if caller.endswith("models.cloning"):
            name = type(self).__name__
            warnings.warn(
                "`keras.models.clone_model` copies the layers alone: the copy "
                f"is a plain functional model without the losses of {name}. "
                "For a model of the same class take copy.deepcopy(model), or "
                f"{name}.from_config(model.get_config()) and `set_weights`.",
                stacklevel=4,
            )
        return super()._run_through_graph(inputs, *args, **kwargs)

    @classmethod
    def _with_new_names(cls, config: dict) -> dict:
        """Renames arguments that older files call otherwise.

        Args:
            config: As `get_config` returned it, perhaps in an older version.

        Returns:
            Dict of the same values by the names of this version.
        """
        return config


class _AsBuilt:
    """A model as its constructor left it, to see later what has changed."""

    def __init__(self, model):
        self.policy = model.dtype_policy
        self.layers = configs_of_layers(model)
        # A base without arguments of its own keeps none that it is passed.
        arguments = {n: getattr(model, n, None) for n in _names(model)}
        self.models = {
            name: config_of_model(value)
            for name, value in arguments.items()
            if isinstance(value, keras.Model)
        }


_GET_CONFIG = SavedArguments.get_config


def _names(model):
    return getattr(model, "_argument_names", ())


def _renamed(cls, kwargs):
    """Arguments by their names of today; warns of older ones."""
    renamed = cls._with_new_names(dict(kwargs))
    old = [name for name in kwargs if name not in renamed]
    new = [name for name in renamed if name not in kwargs]
    if old:
        warn_of_name(cls.__name__, ", ".join(old), ", ".join(new))
    return renamed


def _settle_backbone(model, arguments):
    """Makes one model of a backbone that is no name, so that a file holds it.

    A constructor of a subclass may have kept the arguments as they came.
    """
    if not {"backbone", "preprocessing", "tokens"} <= set(arguments):
        return
    settled = settle_arguments(arguments, arguments.get("weights"))
    for name, value in settled.items():
        if vars(model).get(name) is arguments[name]:
            object.__setattr__(model, name, value)
    arguments.update(settled)


def _keep(model, name, value):
    """Makes an argument an attribute; refuses a second value of a name.

    Bypasses Keras's attribute tracking, because layers of a user's backbone
    that the graph does not use must not become trainable.
    """
    attribute, missing = ATTRIBUTES.get(name, name), object()
    known = vars(model).get(attribute, missing)
    if known is not missing and known is not value and known != value:
        raise ValueError(
            f"{type(model).__name__} received {name}={known!r} and passes "
            f"{name}={value!r} to its parent. A saved file can hold only one "
            "of them: give the argument another name, or pass it unchanged."
        )
    object.__setattr__(model, attribute, value)
