"""Run the notebooks and keep their outputs, without times, machine paths and widgets: a diff then shows what changed.

`python benchmarks/refresh_notebooks.py [NAME...]`
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET = "application/vnd.jupyter.widget-view+json"


def main() -> None:
    names = sys.argv[1:] or [path.stem for path in sorted(FOLDER.glob("*.ipynb"))]
    for name in names:
        path = FOLDER / f"{name.removesuffix('.ipynb')}.ipynb"
        book = nbformat.read(path, as_version=4)
        NotebookClient(book, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
        nbformat.write(tidied(book), path)
        print(f"{path.name}: {path.stat().st_size // 1024} KB")


def tidied(book: NotebookNode) -> NotebookNode:
    """What a reader looks at, and nothing that differs from run to run."""
    book.metadata = METADATA
    for cell in book.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = joined([output for output in cell.outputs if WIDGET not in output.get("data", {})])
    return book


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Streams in one piece, however the kernel happened to flush; pictures without their sizes in words."""
    kept: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "display_data" and "image/png" in output.data:
            output.data = {"image/png": output.data["image/png"].replace("\n", "").strip()}
            output.metadata = {}
        if kept and output.output_type == kept[-1].output_type == "stream" and output.name == kept[-1].name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


if __name__ == "__main__":
    main()
