"""The mathematics: networks, their contract, and the names they go by.

errors.py          the error family
network.py         what a network demands and promises
interpolation.py   the classical scalers
compact.py         the built-in family's trunk: fast, quality
recurrent.py       the same with its neighbours, and a memory of earlier frames
relu.py            ReLU in place, by integers where maps are bf16
architectures.py   the table of architectures a card can name
foreign.py         other people's checkpoints
catalog.py         name -> card -> network
growth.py          a trained network taken over into a larger one
losses.py          losses as functions
"""
