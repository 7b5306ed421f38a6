"""Reply templates: what we write to many, with places for what is different for each.

    define -> revise*

A template is filled for an application and only shown; what is then sent is a message as any
other, and whoever asked us to stop is not written to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Self
from uuid import UUID

import msgspec

from .entry import Actor, Aggregate, Event, Slug, Title, id_of, words
from .refusals import Invalid

PLACEHOLDERS = ("name", "first_name", "job_order", "company", "consultant")
"""What may stand in a template, in double braces: {{first_name}}."""

_PLACE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


class TemplateDefined(Event, frozen=True, kw_only=True, tag="template.defined"):
    """What a template says; each one replaces the one before.

    title    what it is for
    subject  and ``text``: with placeholders such as {{first_name}}
    retired  it is no longer listed
    """

    slug: Slug
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    subject: Title
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
    retired: bool = False

    @property
    def line(self) -> str:
        return f"template {words(self.slug)} " + ("retired" if self.retired else "defined")


TemplateEvents = TemplateDefined


class UnknownPlaceholder(Invalid):
    """A template has a placeholder that we cannot fill, or braces that do not close."""

    field = "text"


class ClientNotNamed(Invalid):
    """This job order is confidential: a reply to who applied does not name the client."""

    field = "text"


def template_id(slug: str) -> UUID:
    return id_of("template", slug)


class Template(Aggregate):
    TOPIC = "template"

    @classmethod
    def define(cls, definition: TemplateDefined, *, by: Actor) -> Self:
        """Raises UnknownPlaceholder."""
        _must_be_fillable(definition)
        return cls.open(definition, by=by, id=template_id(definition.slug))

    def revise(self, definition: TemplateDefined, *, by: Actor) -> None:
        """The same again is a no-op. Raises UnknownPlaceholder."""
        _must_be_fillable(definition)
        if definition != self.definition:
            self.enter(definition, by=by)

    def apply(self, event: Event) -> None:
        match event:
            case TemplateDefined():
                self.definition = event


def filled(text: str, values: Mapping[str, str]) -> str:
    """With what each placeholder stands for; a value is never looked through for further ones.
    Raises ClientNotNamed if it names a company and there is none in ``values``."""
    if "company" in placeholders(text) and "company" not in values:
        raise ClientNotNamed()
    return _PLACE.sub(lambda found: values[found[1]], text)


def placeholders(text: str) -> set[str]:
    return set(_PLACE.findall(text))


def _must_be_fillable(definition: TemplateDefined) -> None:
    for text in (definition.subject, definition.text):
        rest = _PLACE.sub("", text)
        if not placeholders(text) <= set(PLACEHOLDERS) or "{{" in rest or "}}" in rest:
            raise UnknownPlaceholder(known=list(PLACEHOLDERS))
