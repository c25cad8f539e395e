"""Third-party components: packages that declare an entry point in the group ``capsmed.plugins``."""

from capsmed.plugins.loading import GROUP, Plugin, load

__all__ = ["GROUP", "Plugin", "load"]
