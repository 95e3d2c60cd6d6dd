"""Methods from elsewhere than the four papers, each written against the public `Method` alone."""

from normreg_plugins.more_methods.hyperball import Hyperball

__all__ = ["Hyperball"]
