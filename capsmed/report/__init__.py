"""What people read: the printed summary, the figures and the page."""

from capsmed.report.compared import comparison_table
from capsmed.report.comparison import write_comparison
from capsmed.report.console import console_table
from capsmed.report.html import write_report
from capsmed.report.paper import write_paper

__all__ = ["comparison_table", "console_table", "write_comparison", "write_paper", "write_report"]
