"""Options of what keeps scores, so that none is lost and none is made twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from artifactlab.cli.declaring import declared
from artifactlab.cli.given import flag_of, is_given
from artifactlab.cli.verbosity import note
from artifactlab.errors import InputError

OF_SCORING = (
    *("reference", "column", "reference_column", "every", "metrics", "recursive"),
    *("workers", "max_pixels", "device", "engine", "ray_address", "bad", "store", "resume"),
)
"""Options that say what is scored and how, by the parameters of the command; none of them is for a report alone."""
FOLDER = click.Path(path_type=Path)


@dataclass(frozen=True)
class StoreOptions:
    """Where rows are kept, and where they come from."""

    store: Path | None
    """Folder that each row is added to as soon as it is there."""
    resume: bool
    """Whether images are left out whose rows are there."""
    from_store: Path | None
    """Folder whose rows are reported, and nothing scored."""

    def check(self, ctx: click.Context) -> None:
        """Refuse options that contradict each other, and to score nothing.

        Raises:
            InputError: naming the option to leave out.
            click.MissingParameter: if there are neither paths nor rows.
        """
        given = [
            flag_of(option) for option in ctx.command.params if option.name in OF_SCORING and is_given(ctx, option)
        ]
        if self.from_store is None and not ctx.params["paths"]:
            raise click.MissingParameter(ctx=ctx, param=next(p for p in ctx.command.params if p.name == "paths"))
        if self.from_store is not None and (given or ctx.params["paths"]):
            wrong = given[0] if given else "PATH"
            raise InputError(f"--from-store scores nothing, and {wrong} says what to score; leave one of them out")
        if self.resume and self.store is None:
            raise InputError("--resume goes on with what a store has; say which with --store DIR")

    @contextmanager
    def told(self) -> Iterator[None]:
        """Where Ctrl-C ends the work, say that it was not in vain."""
        try:
            yield
        except KeyboardInterrupt:
            if self.store is not None:
                note(f"{self.store} has the rows that are done; the same with --resume goes on")
            raise


store_options = declared(
    [
        click.option(
            "--store", type=FOLDER, metavar="DIR", help="Keep each row there as soon as it is scored, whatever happens."
        ),
        click.option("--resume", is_flag=True, help="Leave out what --store has of the same content and settings."),
        click.option("--from-store", type=FOLDER, metavar="DIR", help="Report what is kept there, and score nothing."),
    ]
)
