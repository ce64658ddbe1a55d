"""The mathematics: networks, their contract, and the names they go by.

errors.py          the error family
confinement.py     a process that reads strangers' bytes: no network, bounded memory
network.py         what a network demands and promises
interpolation.py   the classical scalers
packed.py          planes in one tensor, and what is added to a bicubic upscale
compact.py         the built-in family's trunk: fast, quality
recurrent.py       the same with its neighbours, and a memory of earlier frames
srcnn.py           upsample first
espcn.py           sub-pixels last
edsr.py            residual blocks
progressive.py     a pyramid of doublings
backprojection.py  up and down again
cosine.py          a plain net, taught the direction of deep features
autoencoder.py     down to a code and up again; the extractor of features
deconvolution.py   restores noisy, blurred frames, at their size or twice it
adversarial.py     a generator and its discriminator
vae.py             a distribution of codes beside the frame
diffusion.py       noise becomes detail, step by step
convolution.py     a convolution and the ReLU behind it as one
relu.py            ReLU in place, by integers where maps are bf16
prelu.py           PReLU in place, in one pass over memory
architectures.py   the table of architectures a card can name
foreign.py         other people's checkpoints
weights.py         what a safetensors file holds, checked before it is loaded
catalog.py         name -> card -> network
growth.py          a trained network taken over into a larger one
losses.py          losses as functions
features.py        what deep features are taken from
imagenet.py        AlexNet and VGG out of the user's file
lpips.py           learned perceptual distance
dists.py           distance of structure and texture
"""
