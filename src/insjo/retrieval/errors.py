"""What can go wrong with documents and indexes."""

from __future__ import annotations

from insjo.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted, Unavailable


class IndexExists(AlreadyExists):
    """The name is taken."""

    code = "INDEX_ALREADY_EXISTS"


class IndexInvalid(InvalidArgument):
    """The description of an index is wrong."""

    code = "INVALID_INDEX"


class IndexNotBuilt(FailedPrecondition):
    """The index holds nothing yet."""

    code = "INDEX_NOT_READY"


class PassageNotFound(NotFound):
    """No such passage exists for this caller."""

    code = "PASSAGE_DOES_NOT_EXIST"


class QuestionInvalid(InvalidArgument):
    """A question is empty or too long."""

    code = "INVALID_QUESTION"


class DocumentUnreadable(InvalidArgument):
    """The file is damaged, protected by a password, or not what its name says."""

    code = "DOCUMENT_UNREADABLE"


class DocumentUnsupported(InvalidArgument):
    """Documents of this kind cannot be read."""

    code = "DOCUMENT_UNSUPPORTED"


class DocumentEmpty(InvalidArgument):
    """There is no text in the document, as in a scan."""

    code = "DOCUMENT_EMPTY"


class DocumentTooHeavy(ResourceExhausted):
    """Reading the document took more time, memory or text than one document may."""

    code = "DOCUMENT_TOO_HEAVY"


class ParserLost(Unavailable):
    """The process that reads documents could not be started."""

    code = "DOCUMENT_PARSER_LOST"
