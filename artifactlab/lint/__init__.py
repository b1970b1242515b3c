"""What a decoder's weights and structure show without data."""

from artifactlab.lint.checks import lint
from artifactlab.lint.rules import NOT_SEEN, RULES, Level, LintFinding, Rule
from artifactlab.lint.trained import looks_trained

__all__ = ["NOT_SEEN", "RULES", "Level", "LintFinding", "Rule", "lint", "looks_trained"]
