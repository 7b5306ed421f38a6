"""What somebody looks for in people: criteria that are typed, and so can be kept, shown and asked
again; never a query in words of a database."""

from __future__ import annotations

from typing import Annotated

import msgspec

from .entry import Slug
from .identity import Seniority
from .person import Source

Skill = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Few = msgspec.Meta(max_length=20)


class Criteria(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What people have in common; every criterion that is given has to hold.

    tags       all of these
    skills     all of these, in capitals or not
    seniority  one of these
    location   words, or parts of words, of where they work or want to
    channels   found by one of these
    stages     in one of these stages of a pipeline now
    """

    tags: Annotated[tuple[Slug, ...], Few] = ()
    skills: Annotated[tuple[Skill, ...], Few] = ()
    seniority: Annotated[tuple[Seniority, ...], Few] = ()
    location: Annotated[str, msgspec.Meta(max_length=200)] = ""
    channels: Annotated[tuple[Source, ...], Few] = ()
    stages: Annotated[tuple[Slug, ...], Few] = ()
