"""How frames flow, one noun a file.

The way of a film:

settings.py    what can be told to a run, one frozen dataclass per concept
cicp.py        what code values mean: H.273's numbers, and HDR metadata
planes.py      how a picture is stored: the planes of a pixel format, orientation, crop
video.py       what a video is, and the chunks and frames it is cut into
naming.py      what results are called
inputs.py      files, folders and patterns -> the videos they mean
remote.py      files that lie elsewhere: staged, and results sent there
batch.py       several videos, overlapping on a cluster
job.py         one video from file to file; yields events
events.py      what happens in a run, as values
request.py     what one command asks of one video, checked: Planned
sequence.py    numbered pictures as a film
source.py      a file opened as a file, and its packets in order
structure.py   where a file is cut short or broken, by its container's own lengths
bitstream.py   what a compressed packet says of itself
field_motion.py  when each field of a frame was taken, by how blocks move
scan.py        whether a film is interlaced or telecined
look.py        what a video's first decoded frames show
probe.py       file -> VideoInfo: streams, size, colour, timing, the packet index
bars.py        black bars that stand all through a film
grain.py       how much film grain a source has, and as much for a result
siting.py      where chroma samples lie, and what the container crops
hdr.py         HDR metadata, into encoders and containers
tags.py        what the colour tags mean, by the tags or by the stated rule
plan.py        VideoInfo -> Plan of chunks; pure
encoder_builds.py  versions of FFmpeg and the encoders, as they tell them
plan_id.py     id of a plan: a hash over what shapes bits
timeline.py    when each frame of the result is shown; pure
atomic_file.py  the one way to write a file: whole or not at all
journal.py     which chunks of this plan are done, on disk
task.py        what travels to a worker and comes back
work.py        what a bounded map over workers is told and tells
ledger.py      tasks that wait, and how often each failed
local.py       a bounded, fault-tolerant map over child processes
cluster.py     the same map over Ray actors
driver.py      the thread that keeps the actors busy
calls.py       what it has on its books
machines.py    which machines there are, and the actors that live there
parcels.py     what tasks work on, on its way through the object store
actor.py       what lives in an actor's process
session.py     this process as driver of a Ray cluster
crew.py        how many workers a run has here, and on which devices
spans.py       decoder runs through local workers, fed with packets
worker.py      one chunk from packets to packets
stages.py      each stage of a chunk alone, timed
decode.py      packets -> frames, and the proof that they are the promised ones
facts.py       what holds for all frames of a film, read from one and compared
witness.py     what the container's own decoder makes of a few packets
filters.py     FFmpeg's filters between decoder and network
windows.py     each frame with the neighbours a network looks at, shot by shot
color.py       planes <-> values: matrix, range, R'G'B'
tiles.py       where a large picture is cut
stills.py      tiles that show what they showed in the last frame
lanes.py       threads that run a network on several tiles at once
fused.py       a YUV-native network between code values, on a CPU
health.py      whether what a network made can be a picture of what it saw
cascade.py     networks one after another on pictures of any kind
ring.py        frames on their way up to a device and down again
graphed.py     a YUV-native network between code values, on a device
accelerated.py the same, several frames in flight
device.py      where the networks run
linear.py      linear light <-> values, for OpenEXR
thumbnail.py   a frame's brightness on a coarse grid, to tell frames apart
encoder.py     the encoder of a target, with all its settings
encode.py      frames -> an encoded chunk
assemble.py    chunks and every other track -> the output file
verify.py      the output against what was promised
bench.py       how fast a run is, and how fast it could be
estimate.py    how long a run will take, and how much disk
preview.py     a few moments of a film through several networks, and what each costs
sampler.py     the worker behind it
excerpt.py     parts of a frame, with the pixels they have in the whole
libraries.py   what we stand on, in which versions
hardware.py    what a machine computes, encodes and decodes with, by trying it
doctor.py      whether a run would work here
report.py      what a file holds, for people; abandoned work

Training and judging:

footage.py     what a video or a picture shows, as code values
shots.py       where one shot ends and the next begins
crops.py       the places of a frame worth learning from
holdout.py     what of it is held out to validate by
scout.py       looks through files for the places pairs are made of
recode.py      a short clip really encoded and decoded again
degrade.py     a clean clip -> the clip a network will meet
pairs.py       a place in a film -> a pair of clips
shards.py      pairs on disk
dataset.py     footage -> a data set
allocator.py   what becomes of memory that was freed
resident.py    pairs in a device's memory
loader.py      batches of random crops
gradients.py   the forward and the backward pass of a step
validation.py  how good a network is on held-out pairs
state.py       all that training goes on from
trainlog.py    how training went
recipe.py      a network and how it is trained
reconstruction.py  the plain objective: the result should be the truth
rivalry.py     generator and discriminator in turns
variation.py   codes drawn, and kept near the normal distribution
denoising.py   seeing the noise in a picture; many steps in one
objectives.py  the table of objectives
train.py       pairs -> weights
peers.py       the same in several processes of a cluster
title.py       a network tuned on the film it is for
card.py        weights -> a network with its card
onnx_file.py   a network as an ONNX file, for other tools
adopt.py       weights put into the user's folder
upscale.py     a short clip through a network, for training and judging
metrics.py     how good a picture is
meter.py       the same by FFmpeg, frame by frame: VMAF, XPSNR, SSIM
alignment.py   which frames of two videos belong together
matched.py     several videos of one film, frame beside frame
unfinished.py  what a running job has made so far, as pictures
blind.py       moments for people to judge who don't know which is which
ratings.py     what they said, put together
compare.py     results against a reference: figures over time, the worst moments
evaluate.py    networks scored against the truth
scores.py      rows of an evaluation as text
pace.py        how fast a network is in a run
overview.py    all shipped networks in one table
picture.py     pictures for people
"""
