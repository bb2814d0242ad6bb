"""What a trained net is asked for and cannot do."""


class NoEncoderError(ValueError):
    """A net that only draws is to encode; the message is for the user."""


class ShapeError(ValueError):
    """Pictures or latents that a net does not take; the message is for the user."""
