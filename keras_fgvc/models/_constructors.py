"""Reads what the constructors of a model and its parents are called with."""

import inspect

# `num_classes` the base keeps. A saved file brings its own weights: the file
# that they once came from may be gone when it is loaded.
NOT_KEPT = ("num_classes", "weights")
# Arguments of `keras.Model`, which the base writes by itself.
OF_KERAS = ("name", "dtype", "trainable")
# Attributes of arguments whose own name is Keras's attribute for another thing.
ATTRIBUTES = {"trainable": "trainable_blocks"}


def split(bound):
    """Named arguments but the first, and those given by `**kwargs`."""
    arguments, passed_on = {}, {}
    for name, value in list(bound.arguments.items())[1:]:
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            passed_on = value
        elif kind is not inspect.Parameter.VAR_POSITIONAL:
            arguments[name] = value
    skipped = (*NOT_KEPT, *OF_KERAS)
    return tuple(
        {
            n: v
            for n, v in values.items()
            # A text is the backbone's: "all", "none" or "last:3".
            if n not in skipped or (n in ATTRIBUTES and isinstance(v, str))
        }
        for values in (arguments, passed_on)
    )


def positional(bound, owner):
    """Names by which the parents of a class call what its `*args` holds."""
    kinds = {p.kind: n for n, p in bound.signature.parameters.items()}
    values = bound.arguments.get(kinds.get(inspect.Parameter.VAR_POSITIONAL))
    parent = next(c for c in owner.__mro__[1:] if "__init__" in vars(c))
    if not values:
        return ()
    try:
        passed = inspect.signature(parent.__init__).bind_partial(None, *values)
    except TypeError:  # the parent's constructor will tell
        return ()
    return (*split(passed)[0], *positional(passed, parent))


def takes(cls, name):
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
