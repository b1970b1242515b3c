"""`python -m artifactlab`."""

from artifactlab.cli.main import main

if __name__ == "__main__":
    main(prog_name="artifactlab")
