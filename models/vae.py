"""The variational autoencoder (Kingma and Welling, 2014), around any encoder and decoder."""
from mxnet.gluon import HybridBlock


class VAE(HybridBlock):
    """Encoder, reparameterised latent, decoder: one path for training and for generating.

    encoder: images (b, c, h, w) -> (b, 2z): mean and log variance side by side.
    decoder: latents (b, z) -> images (b, c, h, w) in [0, 1].
    The noise is an argument, so that a run is a function of its inputs.
    """

    def __init__(self, encoder: HybridBlock, decoder: HybridBlock):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def hybrid_forward(self, F, x, eps):
        """Map x (b, c, h, w), eps (b, z) ~ N(0, 1) to x_hat (b, c, h, w), mean, logvar (b, z)."""
        mean, logvar = self.split(F, self.encoder(x))                   # (b, z) each
        return self.decoder(self.latent(F, mean, logvar, eps)), mean, logvar

    @staticmethod
    def split(F, code):
        """Split the encoder's (b, 2z) into mean and logvar (b, z)."""
        return F.split(code, num_outputs=2, axis=1)

    @staticmethod
    def latent(F, mean, logvar, eps):
        """Return the reparameterised sample z of mean, logvar and eps, all (b, z)."""
        return mean + F.exp(0.5 * logvar) * eps
