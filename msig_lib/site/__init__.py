"""The rendered book: assemble pages, executed notebooks and the ledger, render them, and check the result."""

from msig_lib.site.build import SiteError, build
from msig_lib.site.check import check

__all__ = ["SiteError", "build", "check"]
