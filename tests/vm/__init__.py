"""Other kernels in emulated machines: ./scripts/vm.

kernels   which there are, and each unpacked under .cache/kernels
boot      one command in one guest; `guest` is what runs first in there
run       the command line, and the tests chosen for each kernel
"""
