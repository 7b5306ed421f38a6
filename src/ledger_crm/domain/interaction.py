"""What passes between us and a person.

To add an interaction: write its Struct, add it to ``Interactions``. The person's
stream, the history, the API body and its schema, and the NATS subject follow.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from .entry import Instant, PersonFact, Sealed

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
    """

    channel: Channel
    message_id: MessageId
    thread_id: Sealed = ""
    sent_at: Instant
    text: Sealed = ""

    @property
    def once(self) -> str:
        return f"sent:{self.channel}:{self.message_id}"

    @property
    def line(self) -> str:
        return f"message sent by {self.channel}"


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


class NoteWritten(Interaction, frozen=True, kw_only=True, tag="person.note_written"):
    """A consultant wrote something down.

    written_at  when; None: as the entry
    """

    written_at: Instant | None = None
    text: Sealed

    @property
    def line(self) -> str:
        return "note"


Interactions = MessageSent | MessageReplied | CallHeld | NoteWritten
