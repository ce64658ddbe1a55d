"""Training: from a data set to weights.

checkpoint.py       everything that training resumes from
distributed.py      several processes of a cluster average their gradients
fine_tuning.py      a network tuned on the film it is for
initial_state.py    weights that a training starts from, and its optimizer
length.py           the number of steps, and its corrections if minutes are given
train.py            train: a data set -> weights
train_step.py       forward and backward pass of a step, as a CUDA graph on CUDA
trainer.py          the training loop of one process
training_events.py  events of a training, as values
training_log.py     log, curve and TensorBoard
validation.py       quality on held-out pairs
weight_transfer.py  initialises a larger network from a smaller one
"""
