"""A model's config: its arguments, and what it was last set to."""

import keras


class SavedArguments:
    """Makes a model with a graph of its own savable by its arguments."""

    def keep_arguments(self, **arguments) -> None:
        """Makes each constructor argument an attribute and part of the config.

        Args:
            **arguments: All but `num_classes` and `weights`: a saved file
                brings its own weights, the file they once came from may be
                gone when it is loaded.
        """
        self._argument_names = tuple(arguments)
        for name, value in arguments.items():
            # Past Keras's tracking: of a user's backbone the graph may need
            # only some layers, and the others must not train.
            given = isinstance(value, keras.Model)
            store = object.__setattr__ if given else setattr
            store(self, name, value)

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
        for name in self._argument_names:
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
        config = dict(config)
        stage = config.pop("stage")
        loss_weights = config.pop("loss_weights", None)
        policy = keras.saving.deserialize_keras_object(config.pop("dtype"))
        if isinstance(config.get("backbone"), dict):
            config["backbone"] = keras.saving.deserialize_keras_object(
                config["backbone"], custom_objects=custom_objects
            )
        current = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            model = cls(**config)
        finally:
            keras.config.set_dtype_policy(current)
        model.begin_stage(stage)
        if loss_weights is not None:  # files from before 0.8 have none
            model.loss_weights = dict(loss_weights)
        return model
