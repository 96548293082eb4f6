"""Eqs. (3.20)-(3.22) and the limits of the loss, verified by SymPy rather than by numbers."""

from __future__ import annotations

import sympy as sp

D = sp.Symbol("d", real=True)
M = sp.Symbol("m", positive=True)
TAU = sp.Symbol("tau", positive=True)


def _sigmoid(x: sp.Expr) -> sp.Expr:
    return 1 / (1 + sp.exp(-x))


def definition() -> sp.Expr:
    """Return -Q_1 log P_1 - Q_2 log P_2 from Eqs. (3.5), (3.14), (3.15), (3.17), (3.18)."""
    p, q = _sigmoid(D), _sigmoid(D / TAU)
    return -q * sp.log(p) - (1 - q) * sp.log(1 - p)


def printed_loss() -> sp.Expr:
    """Return the summand of Eq. (3.20)."""
    e = sp.exp(-D / TAU)
    return sp.log(1 + sp.exp(-D)) + D * e / (1 + e)


def printed_slope() -> tuple[sp.Expr, sp.Expr]:
    """Return the two parts of Eq. (3.21)."""
    e = sp.exp(-D / TAU)
    return -D * e / (TAU * (e + 1) ** 2), (e - sp.exp(-D)) / ((e + 1) * (sp.exp(-D) + 1))


def _zero(expression: sp.Expr) -> bool:
    """Whether an expression in exp(d) and exp(d / tau) vanishes identically."""
    x, y = sp.symbols("x y", positive=True)  # e^d and e^(d/tau), independent of each other
    expanded = sp.expand_log(sp.logcombine(expression, force=True), force=True)
    rational = sp.expand(expanded).rewrite(sp.exp).subs({sp.exp(-D): 1 / x, sp.exp(D): x})
    rational = rational.subs({sp.exp(-D / TAU): 1 / y, sp.exp(D / TAU): y})
    return sp.simplify(sp.together(rational)) == 0


def verify() -> dict[str, bool]:
    """Return {statement: whether SymPy proves it} for the thesis's equations and for our limits."""
    first, second = printed_slope()
    value = printed_loss()
    held = _sigmoid(D / TAU)
    fixed = sp.Symbol("q", positive=True)
    detached = sp.diff(-fixed * sp.log(_sigmoid(D)) - (1 - fixed) * sp.log(1 - _sigmoid(D)), D).subs(
        fixed, held
    )
    # log P_2 = log P_1 - d is all that separates Eq. (3.20) from the definition
    p = _sigmoid(D)
    log_ratio = sp.simplify(sp.exp(D) * (1 - p) - p) == 0
    from_ratio = sp.simplify(
        (-held * sp.log(p) - (1 - held) * (sp.log(p) - D)).subs(sp.log(p), -sp.log(1 + sp.exp(-D))) - value
    )
    sharp = sp.limit(value.subs(D, M), TAU, 0, "+")
    at_one = value.subs(TAU, 1)
    return {
        "(3.20) is (3.5) for two classes": bool(log_ratio and _zero(from_ratio)),
        "(3.21) is the derivative of (3.20)": _zero(sp.diff(value, D) - first - second),
        "Q held fixed leaves the second part of (3.21)": _zero(detached - second),
        "Q held fixed at tau = 1 has slope 0": sp.simplify(second.subs(TAU, 1)) == 0,
        "the slope is odd, so the loss is even": _zero((first + second) + (first + second).subs(D, -D)),
        "tau -> 0 gives log(1 + e^-m)": sp.simplify(sharp - sp.log(1 + sp.exp(-M))) == 0,
        "tau = 1 is the entropy": _zero(sp.diff(at_one, D) + D * sp.exp(D) / (1 + sp.exp(D)) ** 2)
        and at_one.subs(D, 0) == sp.log(2),
        "curvature at 0 is 1/4 - 1/(2 tau)": sp.simplify(
            sp.diff(value, D, 2).subs(D, 0) - (sp.Rational(1, 4) - 1 / (2 * TAU))
        )
        == 0,
    }
