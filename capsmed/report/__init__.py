"""What people read: the printed summary, the figures and the page."""

from capsmed.report.console import console_table
from capsmed.report.html import write_report

__all__ = ["console_table", "write_report"]
