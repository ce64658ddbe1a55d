"""Loss functions and perceptual distances.

backbones.py      AlexNet and VGG read from the user's weights
deep_distance.py  distance in features of EfficientNet-Lite0, for judging
discriminator.py  discriminator of the adversarial objective
dists.py          DISTS: distance of structure and texture
features.py       deep features for perceptual losses
functions.py      pixel, frequency and adversarial losses as functions
lpips.py          LPIPS: learned perceptual distance
"""
