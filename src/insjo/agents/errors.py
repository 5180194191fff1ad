"""What can go wrong with agents, conversations and the assistant."""

from __future__ import annotations

from insjo.kernel.errors import Aborted, AlreadyExists, InvalidArgument, NotFound, ResourceExhausted


class AgentExists(AlreadyExists):
    """The name is taken."""

    code = "AGENT_ALREADY_EXISTS"


class AgentInvalid(InvalidArgument):
    """The description of an agent is wrong."""

    code = "INVALID_AGENT"


class ConversationNotFound(NotFound):
    """No such conversation; those of others do not exist for the caller."""

    code = "CONVERSATION_DOES_NOT_EXIST"


class MessageInvalid(InvalidArgument):
    """A message is empty or too long."""

    code = "INVALID_MESSAGE"


class TooManyConversations(ResourceExhausted):
    """Somebody keeps as many conversations, or messages in one, as one may."""

    code = "TOO_MANY_CONVERSATIONS"


class ConversationBusy(Aborted):
    """An answer is already running in this conversation."""

    code = "CONVERSATION_BUSY"


class TooManyAnswers(ResourceExhausted):
    """As many answers are running at once as may."""

    code = "TOO_MANY_ANSWERS"


class ActionNotFound(NotFound):
    """No such action waits for a confirmation: it was confirmed already, it expired, or it was offered to somebody else."""

    code = "ACTION_DOES_NOT_EXIST"


class StatementForbidden(InvalidArgument):
    """A statement that an agent may not run: it changes something, or reads what the agent was not given."""

    code = "AGENT_STATEMENT_FORBIDDEN"


class AttachmentInvalid(InvalidArgument):
    """A file that came with a message has no name, is too large, or is one too many."""

    code = "INVALID_ATTACHMENT"
