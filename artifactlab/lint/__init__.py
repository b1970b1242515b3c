"""What a decoder's weights and structure show without data.

`RULES` are all that is looked for, in the order of findings; `NOT_SEEN` is the one of what could not be read. A `Level`
is how grave a finding is: a warning, or a note.
"""

from artifactlab.lint.checks import lint
from artifactlab.lint.rules import NOT_SEEN, RULES, Level, LintFinding, Rule
from artifactlab.models.trained import looks_trained

__all__ = ["NOT_SEEN", "RULES", "Level", "LintFinding", "Rule", "lint", "looks_trained"]
