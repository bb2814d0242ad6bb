"""The variational autoencoder (Kingma and Welling, 2014), around any encoder and decoder."""
from mxnet.gluon import HybridBlock


class VAE(HybridBlock):
    """Encoder, reparameterised latent, decoder: one path for training and for generating.

    encoder: images (b, c, h, w) -> (b, 2z): mean and log variance side by side.
    decoder: latents (b, z) -> images (b, c, h, w) in [0, 1].
    The noise is an argument, so that a run is a function of its inputs.
    """

    def __init__(self, encoder: HybridBlock, decoder: HybridBlock, n_latent: int):
        super().__init__()
        self.n_latent = n_latent
        self.encoder = encoder
        self.decoder = decoder

    def hybrid_forward(self, F, x, eps):
        """x (b, c, h, w), eps (b, z) ~ N(0, 1) -> x_hat (b, c, h, w), mean, logvar (b, z)."""
        mean, logvar = F.split(self.encoder(x), num_outputs=2, axis=1)  # (b, z) each
        z = mean + F.exp(0.5 * logvar) * eps                            # (b, z)
        return self.decoder(z), mean, logvar
