"""Networks: their contract, layers and weights, and lookup by name.

errors.py       error classes, each with its exit code
network.py      contract between a network and the pipelines
sandbox.py      a process that parses untrusted input: no network access, bounded memory

layers/         building blocks
architectures/  one network per file, and the registry
catalog/        cards, lookup by name, loading
losses/         loss functions and perceptual distances
trained/        weights and cards that are shipped
"""
