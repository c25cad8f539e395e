"""The command line: parse, call one public function, print.

Heavy libraries are imported inside the commands, so that ``capsmed --help`` is quick.
"""

import click

from capsmed import __version__
from capsmed.cli.cohorts import cohort
from capsmed.cli.compare import compare, report
from capsmed.cli.configs import config, init
from capsmed.cli.inside import inspect
from capsmed.cli.listing import list_parts
from capsmed.cli.parts import data, run
from capsmed.cli.plugin_check import plugin
from capsmed.cli.program import Program
from capsmed.cli.runs import evaluate, train, tune


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="capsmed")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Train and evaluate capsule networks on small cohorts of medical images.

    Start with `capsmed train --config lung`. For research use only.
    """


for command in (
    train, tune, evaluate, report, compare, inspect, list_parts,
    config, init, cohort, data, run, plugin,
):  # fmt: skip
    main.add_command(command)

__all__ = ["main"]
