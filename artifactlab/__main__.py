"""`python -m artifactlab`."""

import os
import sys

if __name__ == "__main__":
    # -m makes the current folder importable, and with it a jinja2.py that lies there; targets there are found without
    if sys.path[0] == os.getcwd() and not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    from artifactlab.cli.main import main

    main(prog_name="artifactlab")
