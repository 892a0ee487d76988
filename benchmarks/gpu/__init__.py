"""The CUDA path held against the CPU's, and measured."""
