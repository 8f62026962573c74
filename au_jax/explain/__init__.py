"""What a trained network has learned: its filters, its features' neighbourhoods, and the faces that its AUs respond to.

Arrays and Flax variables in, arrays out; no files and no TensorFlow.
"""
