"""Networks by name: cards, lookup, loading.

card.py                Card: the description of a network and the path of its weights
loader.py              card and weights -> a network that runs
lookup.py              networks by name: shipped, the user's own, or a file
model_index.py         third-party networks that are known by name, and their addresses
onnx_module.py         an ONNX file as a module, run by onnxruntime
onnx_reader.py         ONNX files, described in a sandboxed process, run by onnxruntime
purposes.py            what each family is for
safetensors_header.py  checks a safetensors header before anything is allocated
third_party.py         spandrel checkpoints, read in a sandboxed process
"""
