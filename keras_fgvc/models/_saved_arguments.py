"""A model's config is what its constructor was called with.

`keeps_arguments` wraps each constructor of a method. It reads the arguments by
the constructor's signature and makes each one an attribute of the same name,
so that a constructor names an argument in its signature and where it is used,
and nowhere else. `get_config` reads the attributes again.
"""

import functools
import inspect

import keras

from keras_fgvc._renamed import warn_of_name
from keras_fgvc.backbones.nested import import_hub_for
from keras_fgvc.backbones.own import settle_arguments

# `num_classes` the base keeps. A saved file brings its own weights: the file
# that they once came from may be gone when it is loaded.
NOT_KEPT = ("num_classes", "weights")
# Arguments of `keras.Model`, which the base writes by itself.
OF_KERAS = ("name", "dtype", "trainable")


def keeps_arguments(init):
    """Wraps a constructor: its arguments become attributes and the config.

    Of a class and its parents, the outermost constructor's arguments are the
    config, and those that it passes on by `**kwargs`. After it the model is
    ready for its first phase.
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
        arguments, passed_on = _split(bound)
        is_outermost = "_argument_names" not in vars(self)
        if is_outermost:
            names = (*arguments, *passed_on)
            object.__setattr__(self, "_argument_names", names)
        for name, value in arguments.items():
            _keep(self, name, value)
        init(*bound.args, **bound.kwargs)
        if is_outermost:
            self._enter_first_phase()

    # Keras asks for the signature without looking behind wrappers.
    wrapper.__signature__ = signature
    return wrapper


class SavedArguments:
    """Makes a model with a graph of its own savable by its arguments."""

    def get_config(self):
        # Not super().get_config(): it would list the graph's layers, which
        # the constructor builds again.
        config = {
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "num_classes": self.num_classes,
            "stage": self.stage,
            "loss_weights": dict(self.loss_weights),
        }
        for name in getattr(self, "_argument_names", ()):
            value = getattr(self, name)
            if isinstance(value, keras.Model):
                value = keras.saving.serialize_keras_object(value)
            config[name] = value
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Builds the graph under the saved precision, in the saved stage.

        What the user froze is not in a config: it trains again.
        """
        config = cls._with_new_names(dict(config))
        stage = config.pop("stage")
        loss_weights = config.pop("loss_weights", None)
        policy = keras.saving.deserialize_keras_object(config.pop("dtype"))
        if isinstance(config.get("backbone"), dict):
            import_hub_for(config["backbone"])
            if _takes(cls, "preprocessing"):  # older files have none
                config.setdefault("preprocessing", "none")
            config["backbone"] = keras.saving.deserialize_keras_object(
                config["backbone"], custom_objects=custom_objects
            )
        for name, value in config.items():
            if isinstance(value, list):  # JSON has no tuples
                config[name] = tuple(value)
        if _takes(cls, "weights"):
            config["weights"] = None  # they follow: load no others before
        current = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            model = cls(**config)
        finally:
            keras.config.set_dtype_policy(current)
        model._enter(stage)
        if loss_weights is not None:  # files from before 0.8 have none
            model.loss_weights = dict(loss_weights)
        return model

    @classmethod
    def _with_new_names(cls, config: dict) -> dict:
        """Renames arguments that older files call otherwise.

        Args:
            config: As `get_config` returned it, perhaps in an older version.

        Returns:
            Dict of the same values by the names of this version.
        """
        return config


def _renamed(cls, kwargs):
    """Arguments by their names of today; warns of older ones."""
    renamed = cls._with_new_names(dict(kwargs))
    old = [name for name in kwargs if name not in renamed]
    new = [name for name in renamed if name not in kwargs]
    if old:
        warn_of_name(cls.__name__, ", ".join(old), ", ".join(new))
    return renamed


def _split(bound):
    """Named arguments but the first, and those given by `**kwargs`."""
    arguments, passed_on = {}, {}
    for name, value in list(bound.arguments.items())[1:]:
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            passed_on = value
        elif kind is not inspect.Parameter.VAR_POSITIONAL:
            arguments[name] = value
    left_out = (*NOT_KEPT, *OF_KERAS)
    return tuple(
        {n: v for n, v in values.items() if n not in left_out}
        for values in (arguments, passed_on)
    )


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
    missing = object()
    known = vars(model).get(name, missing)
    if known is not missing and known is not value and known != value:
        raise ValueError(
            f"{type(model).__name__} received {name}={known!r} and passes "
            f"{name}={value!r} to its parent. A saved file can hold only one "
            "of them: give the argument another name, or pass it unchanged."
        )
    object.__setattr__(model, name, value)


def _takes(cls, name):
    """Tells whether a constructor takes an argument, perhaps by a parent."""
    for each in cls.__mro__:
        if "__init__" not in vars(each):
            continue
        parameters = inspect.signature(each.__init__).parameters
        if name in parameters:
            return True
        if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
            return False
    return False
