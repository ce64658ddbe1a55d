"""Networks on CUDA devices: graphs, streams, pinned buffers.

cuda_graph.py     a YUV-native network between integer samples, as a CUDA graph
cuda_pipeline.py  several frames in flight on CUDA streams
transfer_ring.py  pinned buffers between host and device
"""
