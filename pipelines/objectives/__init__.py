"""Training objectives.

adversarial.py     generator and discriminator in turns (GAN)
diffusion.py       diffusion, and distillation to few steps
reconstruction.py  difference between result and ground truth
registry.py        table: name -> objective
settings.py        TrainSettings: a network and how it is trained
variational.py     VAE: reconstruction and KL divergence
"""
