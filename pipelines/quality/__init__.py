"""How good a result is: metrics, comparisons, evaluations, blind tests.

blind_test.py       moments for people to judge without knowing which is which
comparison.py       results against a reference: figures over time, the worst moments
evaluation.py       networks scored against the truth
evaluation_items.py the pictures, clips and pairs that they are scored on
frame_alignment.py  which frames of two videos belong together
judgement.py        the scores of one result
metrics.py          PSNR, SSIM, NIQE and others on tensors
paired_reader.py    several videos of one film, frame beside frame
ratings.py          what several people said, merged
rounding_cost.py    what a network loses on 8-bit integers
score_tables.py     rows of an evaluation as text
"""
