"""A part of a method as a model of its own."""

import keras

from keras_fgvc.models._saved_arguments import refuse_legacy_format
from keras_fgvc.models.declaration import (
    declare_outputs,
    from_config,
    to_config,
)


@keras.saving.register_keras_serializable(package="keras_fgvc")
class DeclaredModel(keras.Model):
    """Functional model whose file keeps what its outputs mean.

    A method builds its graph again when it is loaded, and declares again. A
    part of a method has no constructor that could.
    """

    def declare(self, meanings, *, num_classes):
        """Declares the outputs and the number of classes; returns itself."""
        self.num_classes = num_classes
        return declare_outputs(self, meanings)

    def get_config(self):
        refuse_legacy_format(self)
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "output_meanings": to_config(self.output_meanings),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        num_classes = config.pop("num_classes")
        meanings = from_config(config.pop("output_meanings"))
        model = super().from_config(config, custom_objects)
        return model.declare(meanings, num_classes=num_classes)
