"""What passes between us and a person, or a company and nobody there in particular.

To add an interaction: write its Struct, add it to ``Interactions``. The person's
stream, the history, the API body and its schema, and the NATS subject follow.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from .entry import CompanyFact, Instant, PersonFact, Reason, Sealed, Slug, words

Channel = Literal["email", "linkedin", "phone", "sms", "whatsapp", "post", "in_person", "other"]
MessageId = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=998, extra={"sealed": True}),  # RFC 5322: a line
]
"""A channel's own id of a message. Sealed, as threads are: on some channels it is a number to
call; that a message is there already is known by the keyed hash of it."""


class Interaction(PersonFact, frozen=True, kw_only=True):
    """Common to all.

    company_id  the client that it was about, if it was about one
    """

    company_id: UUID | None = None

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.company_id,) if self.company_id else ()


class Outbound(Interaction, frozen=True, kw_only=True):
    """We may be who contacts them: consent, do-not-contact and off-limits bite here.

    override  why all the same, in the words of the named consultant who did it
    """

    override: Sealed = ""

    @property
    def by_us(self) -> bool:
        return True


class MessageSent(Outbound, frozen=True, kw_only=True, tag="person.message_sent"):
    """We wrote to them.

    message_id  the channel's own id, unique per message (RFC 5322 Message-ID for e-mail)
    thread_id   the conversation, as the channel groups it
    sent_at     from the channel
    text        plain text, at most 64 KiB
    campaign    slug of the one whose next step this is; None: of none
    """

    channel: Channel
    message_id: MessageId
    thread_id: Sealed = ""
    sent_at: Instant
    text: Sealed = ""
    campaign: Slug | None = None

    @property
    def once(self) -> str:
        return f"sent:{self.channel}:{self.message_id}"

    @property
    def line(self) -> str:
        of = f", campaign {words(self.campaign)}" if self.campaign else ""
        return f"message sent by {self.channel}{of}"


class MessageReplied(Interaction, frozen=True, kw_only=True, tag="person.message_replied"):
    """They answered.

    message_id  the channel's own id, unique per message (RFC 5322 Message-ID for e-mail)
    thread_id   the conversation, as the channel groups it
    replied_at  from the channel; the entry's timestamp is when we heard of it
    text        plain text, quoted part removed, at most 64 KiB
    """

    channel: Channel
    message_id: MessageId
    thread_id: Sealed = ""
    replied_at: Instant
    text: Sealed = ""

    @property
    def once(self) -> str:
        return f"replied:{self.channel}:{self.message_id}"

    @property
    def line(self) -> str:
        return f"replied by {self.channel}"


class CallHeld(Outbound, frozen=True, kw_only=True, tag="person.call_held"):
    """We spoke.

    started_at  from the telephone or the consultant
    duration_s  seconds of speech
    text        what was said, in the consultant's words
    """

    started_at: Instant
    duration_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)]
    direction: Literal["out", "in"] = "out"
    text: Sealed = ""

    @property
    def by_us(self) -> bool:
        return self.direction == "out"

    @property
    def line(self) -> str:
        return f"call, {self.duration_s // 60} min"


class MeetingHeld(Interaction, frozen=True, kw_only=True, tag="person.meeting_held"):
    """We met, because both of us wanted to.

    place  where; "" for nowhere in particular, or on a screen
    text   what was said, in the consultant's words
    """

    started_at: Instant
    duration_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 0
    place: Sealed = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "meeting" + (f", {self.duration_s // 60} min" if self.duration_s else "")


class MessageOpened(Interaction, frozen=True, kw_only=True, tag="person.message_opened"):
    """They, or a machine of theirs, opened a message of ours.

    message_id  of the message that was sent
    opened_at   from the channel
    """

    channel: Channel
    message_id: MessageId
    opened_at: Instant

    @property
    def once(self) -> str:
        return f"opened:{self.channel}:{self.message_id}:{self.opened_at.isoformat()}"

    @property
    def line(self) -> str:
        return f"message opened by {self.channel}"


class LinkClicked(Interaction, frozen=True, kw_only=True, tag="person.link_clicked"):
    """They followed a link in a message of ours.

    message_id  of the message that was sent
    url         where to; it may name them
    """

    channel: Channel
    message_id: MessageId
    url: Sealed = ""
    clicked_at: Instant

    @property
    def once(self) -> str:
        return f"clicked:{self.channel}:{self.message_id}:{self.clicked_at.isoformat()}:{self.url}"

    @property
    def line(self) -> str:
        return f"link clicked by {self.channel}"


class MessageBounced(Interaction, frozen=True, kw_only=True, tag="person.message_bounced"):
    """A message of ours did not reach them.

    message_id  of the message that was sent
    permanent   nothing will ever reach them there
    text        what the channel said
    """

    channel: Channel
    message_id: MessageId
    permanent: bool = False
    bounced_at: Instant
    text: Sealed = ""

    @property
    def once(self) -> str:
        return f"bounced:{self.channel}:{self.message_id}"

    @property
    def line(self) -> str:
        return f"message bounced by {self.channel}" + (", for good" if self.permanent else "")


class NoteWritten(Interaction, frozen=True, kw_only=True, tag="person.note_written"):
    """A consultant wrote something down.

    written_at  when; None: as the entry
    mentions    people and companies that it is about too: it is in their history
    """

    written_at: Instant | None = None
    text: Sealed
    mentions: Annotated[tuple[UUID, ...], msgspec.Meta(max_length=20)] = ()

    @property
    def others(self) -> tuple[UUID, ...]:
        return tuple(dict.fromkeys(self.mentions))

    @property
    def line(self) -> str:
        return "note"


class NoAnswerNeeded(Interaction, frozen=True, kw_only=True, tag="person.no_answer_needed"):
    """What they said last wants no answer: "Thanks", or "Stop".

    said_at  when we decided that: what they say later waits for an answer again
    """

    said_at: Instant
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "no answer needed" + (f": {words(self.reason)}" if self.reason else "")


Interactions = (
    MessageSent
    | MessageReplied
    | MessageOpened
    | LinkClicked
    | MessageBounced
    | CallHeld
    | MeetingHeld
    | NoteWritten
    | NoAnswerNeeded
)


class CompanyCalled(CompanyFact, frozen=True, kw_only=True, tag="company.call_held"):
    """We spoke with their switchboard, or with whoever it was: with somebody whom we know, it is
    an interaction with them.

    started_at  from the telephone or the consultant
    duration_s  seconds of speech
    text        what was said, in the consultant's words
    """

    started_at: Instant
    duration_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)]
    direction: Literal["out", "in"] = "out"
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"call, {self.duration_s // 60} min"


class CompanyNoted(CompanyFact, frozen=True, kw_only=True, tag="company.note_written"):
    """A consultant wrote something down about the company.

    written_at  when; None: as the entry
    mentions    people and companies that it is about too: it is in their history
    """

    written_at: Instant | None = None
    text: Sealed
    mentions: Annotated[tuple[UUID, ...], msgspec.Meta(max_length=20)] = ()

    @property
    def others(self) -> tuple[UUID, ...]:
        return tuple(dict.fromkeys(self.mentions))

    @property
    def line(self) -> str:
        return "note"


CompanyInteractions = CompanyCalled | CompanyNoted
