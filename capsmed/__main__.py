"""``python -m capsmed``, and ``torchrun --nproc_per_node 2 -m capsmed train ...``."""

from capsmed.cli import main

if __name__ == "__main__":
    main(prog_name="capsmed")
