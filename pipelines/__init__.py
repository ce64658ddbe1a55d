"""How frames flow: from a file through networks to a file, and from footage to trained weights.

Subpackages in the order of their layers: each imports from itself and from those above it in this list.

storage/       files on disk and in object stores
media/         what a video file is: containers, bitstreams, pixel formats, colour numbers
plan/          the value `Plan`, settings, events, and the arithmetic of chunks and tiles
codec/         packets -> frames, frames -> packets
frames/        decoded frames as sample values
probe/         file -> `VideoInfo`; interlacing, black bars, grain
inference/     networks on batches of frames
output/        journal, muxing, verification
planner/       settings and the facts of a video -> `Plan`
pool/          a fault-tolerant map over worker processes
cluster/       the same map on Ray
workers/       what runs inside a worker process
run/           one video or many, from inputs to published results
model_files/   networks written to files and installed from files
datasets/      training pairs
quality/       metrics, comparisons, evaluations
objectives/    what training optimises
training/      a data set -> weights
diagnostics/   doctor, benchmark, estimate, preview
"""
