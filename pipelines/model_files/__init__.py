"""Networks written to files and installed from files.

card_writer.py  writes weights and their card
install.py      puts a third-party network into the user's folder
onnx_export.py  a network as an ONNX file
"""
