"""One network per file, and the registry of their names.

autoencoder.py     autoencoder, and the feature extractor taken from it
backprojection.py  DBPN: alternating up- and down-projection
compact.py         plain convolutional trunk of fast and quality
cosine.py          plain network trained with a cosine-similarity loss
deconvolution.py   restores noisy, blurred frames, at their own size or twice it
diffusion.py       conditional diffusion, distilled to few steps
edsr.py            EDSR residual blocks, and the generator trained adversarially
espcn.py           ESPCN: convolutions, then sub-pixel shuffle
interpolation.py   the classical scalers as a network
progressive.py     LapSRN-like pyramid of doublings
recurrent.py       the trunk with neighbouring frames and a hidden state
registry.py        table: name of an architecture -> its class
restoring.py       the trunk with weights by restoration level: real, real-fast
srcnn.py           SRCNN: upsample, then three convolutions
vae.py             variational autoencoder conditioned on the frame
"""
