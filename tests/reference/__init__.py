"""The same mathematics as nnfast's kernels, in NumPy and float64, written for reading and not for speed.

Nothing here imports nnfast: the tests compare the two. Every function takes arrays of any dtype, computes in float64
and returns float64 (or integers), except where a function says that it follows the bits of the kernel.
"""
