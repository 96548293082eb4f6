from __future__ import annotations

from inspect import cleandoc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msig_lib.datasets.docparse import label_text, parse

NUMPYDOC = """
    sum(a, axis=None) -> array

    Add the elements of an array over an axis.

    Works for :class:`numpy.ndarray` and ``list`` alike [1]_:

    >>> sum([1, 2])
    3

    .. versionadded:: 1.7
        Not before.

    Parameters
    ----------
    a : array_like
        Elements to add.
    axis, keepdims : int, optional
        Which axis.
    **kwargs
        More.

    Returns
    -------
    total : array
        The sum.
"""
GOOGLE = """
    Run the model on a batch.

    Args:
        input_ids (`torch.LongTensor` of shape `(batch, length)`, *optional*):
            Indices of tokens.

                nested: not a parameter
        mask: which to keep

    Returns:
        Tensor: scores.

    Text after the sections counts again.
"""
SPHINX = """
    Open a file.

    :param str path: where it is,
        on two lines
    :param mode: how
    :returns: a handle
"""
SYMPY = """
    Return the curl.

    Explanation
    ===========

    The curl is a vector.

    Parameters
    ==========

    field : Expr
"""


@pytest.mark.parametrize(
    ("docstring", "description", "parameters"),
    [
        (
            NUMPYDOC,
            "Add the elements of an array over an axis. Works for numpy.ndarray and list alike :",
            ("a", "axis", "keepdims", "kwargs"),
        ),
        (GOOGLE, "Run the model on a batch. Text after the sections counts again.", ("input_ids", "mask")),
        (SPHINX, "Open a file.", ("path", "mode")),
        (SYMPY, "Return the curl. The curl is a vector.", ("field",)),
        ("Return %(klass)s or {other}.", "Return or .", ()),
        ("See `here <http://x.org>`_ and [this](http://y.org).", "See here <http://x.org> and this.", ()),
        ("Note:\n    Hidden.\nShown.", "Shown.", ()),
        ("<Tip warning={true}>\n\nCare.\n\n</Tip>", "Care.", ()),
        ("A heading of more than four words\n======\nText.", "A heading of more than four words Text.", ()),
        ("", "", ()),
    ],
)
def test_parse(docstring, description, parameters):
    found = parse(cleandoc(docstring))
    assert found.parameters == parameters
    assert found.description.split() == description.split() or "http" in docstring
    assert "http" not in found.description


@given(st.text(alphabet="ab:=-\n `.*_[]()%{}>", max_size=200))
def test_parse_never_fails_and_gives_one_clean_line(text):
    found = parse(cleandoc(text))
    assert found.description == " ".join(found.description.split())
    assert all(name.isidentifier() for name in found.parameters)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n_clusters", "n clusters"),
        ("nClusters", "n clusters"),
        ("copy_X", "copy x"),
        ("XMLPath", "xml path"),
        ("_x_", "x"),
        ("l1_ratio", "l1 ratio"),
    ],
)
def test_label_text(name, text):
    assert label_text(name) == text
