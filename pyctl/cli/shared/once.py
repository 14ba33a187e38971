"""Commands whose options are taken as often as they are given, or refused.

In: argv. Out: click's classes. I/O: none.
click lets the last of `--container web --container app` win, and says nothing: one container would
stay without protection. Here an option that takes one value is refused where it is given twice.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import click


class Command(click.Command):
    """The class of every segctl command: it refuses an option that is given twice."""

    def make_parser(self, ctx: click.Context) -> Any:
        """Return click's parser, which also checks how often each option was given."""
        parser = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_once(args: list[str]) -> Any:
            values, rest, order = parse(args)
            for option, times in Counter(order).items():
                if isinstance(option, click.Option) and times > 1:
                    _refuse(ctx, option)
            return values, rest, order

        parser.parse_args = parse_once  # type: ignore[method-assign]
        return parser


def _refuse(ctx: click.Context, option: click.Option) -> None:
    repeatable = option.multiple or option.count
    # A flag that is given twice means the same twice, unless it has an opposite.
    if repeatable or (option.is_flag and not option.secondary_opts):
        return
    names = "/".join((*option.opts, *option.secondary_opts))
    raise click.UsageError(f"{names} is given more than once.", ctx)


class Group(Command, click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type
