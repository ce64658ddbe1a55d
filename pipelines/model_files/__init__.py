"""Networks written to files and installed from files.

card_writer.py   writes weights and their card
index_list.py    a list of networks from a file or a URL, or the shipped one
install.py       installs networks into the user's folder: from a file, a URL, the model index
onnx_export.py   a network as an ONNX file
quantization.py  a plain network on 8-bit integers
"""
