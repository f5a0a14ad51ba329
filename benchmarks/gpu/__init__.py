"""What only an accelerator can show, by one command: `make gpu`. A part a module, a process and a JSON file each.

suite        the test suite's tests that need CUDA, and those that compare an accelerator with the CPU
steps        eager, captured graph, many seeds, tf32 and bf16, step by step; and iterations a second of each
resume       a run killed by SIGKILL and resumed ends with the bits of one never stopped
lines        the other benchmarks' figures on the accelerator
mnist        ten seeds of the paper's MNIST run to 500 epochs, scored by the paper's protocol on the way
alternating  the same with the update that alternates, as Algorithm 1 prints it, if there is time left
"""
