"""Quality of results: metrics, comparisons, evaluations, blind tests.

blind_test.py         moments for people to judge without knowing which is which
comparison.py         results against a reference: metrics over time, the worst moments
evaluation.py         networks scored against ground truth
evaluation_items.py   the images, clips and pairs for scoring
frame_alignment.py    which frames of two videos belong together
image_differences.py  where frames differ most, and images cut out there
judgement.py          the scores of one result
metrics.py            PSNR, SSIM, NIQE and others on tensors
output_reports.py     time and crop of outputs, from their reports
paired_reader.py      reads several videos of one film in parallel
ratings.py            merges ratings of several people
rounding_cost.py      loss of a network on 8-bit integers
score_tables.py       rows of an evaluation as text
"""
