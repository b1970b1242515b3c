"""Sizes that a file gives by formula, such as `Mul(Integer(2), Symbol('s0', integer=True))`, not run but read."""

from __future__ import annotations

import ast
import re

MAX_FORMULA = 10_000
"""Letters of a formula; those of nets with a dozen odd strides have some hundred."""
MAX_POWERS = 3
"""Powers in a formula: a tower of more of them is a number that fills the memory. Areas and volumes have one."""
MAX_EXPONENT = 8
"""The same of a single power."""
MAX_NUMBER = 1 << 64
"""Sizes have fewer bits than machine words."""
SYMBOL = re.compile(r"[a-z]+\d+")
FUNCTIONS = {
    *("FloorDiv", "CeilDiv", "CleanDiv", "IntTrueDiv", "FloatTrueDiv", "Mod", "PythonMod", "ModularIndexing"),
    *("CeilToInt", "FloorToInt", "TruncToInt", "RoundToInt", "TruncToFloat", "ToFloat", "floor", "ceiling"),
    *("Add", "Mul", "Pow", "sqrt", "Max", "Min", "Abs", "Where", "Identity", "And", "Or", "Not"),
    *("Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality"),
    *("StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan"),
    *("Integer", "Float", "Rational", "Symbol"),
}
"""What torch and sympy write formulas with."""
NAMES = {"int_oo", "oo", "true", "false"}
"""Numbers that have a name."""
PLAIN = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Load, ast.keyword),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
"""Arithmetic; neither attributes nor indices nor anything that binds a name."""


def is_formula(text: str) -> bool:
    """Whether a text is made of names of sizes, numbers and known functions alone, so that it can be evaluated.

    >>> is_formula("2*s0 + 1"), is_formula("exec(s0)"), is_formula("9**9**9")
    (True, False, False)
    """
    if len(text) > MAX_FORMULA:
        return False
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    powers = sum(map(_is_power, nodes))
    return powers <= MAX_POWERS and all(map(_is_plain, nodes))


def _is_power(node: ast.AST) -> bool:
    return isinstance(node, ast.Pow) or (isinstance(node, ast.Name) and node.id in ("Pow", "sqrt"))


def _is_plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return _is_value(node.value)
    if isinstance(node, ast.Name):
        return node.id in FUNCTIONS or node.id in NAMES or SYMBOL.fullmatch(node.id) is not None
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
            return False
        return node.func.id != "Pow" or (len(node.args) > 1 and _is_small(node.args[1]))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _is_small(node.right)
    return isinstance(node, PLAIN) and not isinstance(node, (ast.LShift, ast.RShift, ast.MatMult))


def _is_value(value: object) -> bool:
    if isinstance(value, str):  # the name in Symbol('s0')
        return SYMBOL.fullmatch(value) is not None
    return isinstance(value, (bool, int, float)) and abs(value) < MAX_NUMBER


def _is_small(exponent: ast.expr) -> bool:
    """Whether it is a number, or `Integer` of one, of a few."""
    if isinstance(exponent, ast.Call) and len(exponent.args) == 1:
        return isinstance(exponent.func, ast.Name) and exponent.func.id == "Integer" and _is_small(exponent.args[0])
    if isinstance(exponent, ast.UnaryOp):
        return _is_small(exponent.operand)
    return isinstance(exponent, ast.Constant) and isinstance(exponent.value, int) and exponent.value <= MAX_EXPONENT
