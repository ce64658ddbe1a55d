"""How frames flow: from a file through networks to a file, and from footage to trained weights.

Subpackages in the order of their layers: each imports from itself and from those above it in this list.

storage/      files on disk and in object stores
file_parsing/ MP4 boxes and Matroska elements, read without FFmpeg
media/        facts about video files: containers, bitstreams, pixel formats, colour numbers
settings/     settings of a run, and the values that options accept
plan/         the value `Plan`, events, and the arithmetic of chunks and tiles
hardware/     cores, memory, GPUs and their drivers
codec/        packets -> frames, frames -> packets
encoders/     the choice of an encoder and its options
frames/       decoded frames as sample values
interlacing/  detection of interlacing and telecine
probe/        file -> `VideoInfo`; black bars, grain, restoration level
inference/    networks on batches of frames
containers/   what a container can hold, and how tracks are written into it
output/       journal, muxing, verification
planner/      settings and the facts of a video -> `Plan`
pool/         a fault-tolerant parallel map over worker processes
cluster/      the same map on Ray
workers/      the code that runs inside a worker process
run/          one video or many, from inputs to finished outputs
model_files/  writing and installing model files
datasets/     training pairs
quality/      metrics, comparisons, evaluations
objectives/   training objectives
training/     a data set -> weights
diagnostics/  doctor, benchmark, estimate, preview
"""
