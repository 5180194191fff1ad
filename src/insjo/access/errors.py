"""What can go wrong with principals, credentials, rights, labels and flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from insjo.kernel.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class UnknownPrivilege(InvalidArgument):
    """The word names no privilege, or none that can be granted on this kind of object."""

    code = "INVALID_PRIVILEGE"


class UnknownSecurableKind(InvalidArgument):
    """The word names no kind of securable."""

    code = "INVALID_SECURABLE_TYPE"


class InvalidLabel(InvalidArgument):
    """A level, category or zone is wrong."""

    code = "INVALID_LABEL"


class InvalidPrincipalName(InvalidArgument):
    """The name of a principal is empty, too long or has characters that names do not have."""

    code = "INVALID_PRINCIPAL_NAME"


class MembershipCircle(InvalidArgument):
    """A group would contain itself."""

    code = "MEMBERSHIP_CIRCLE"


class WeakPassword(InvalidArgument):
    """The password is too short, too long or the name of its owner."""

    code = "WEAK_PASSWORD"


class PrincipalNotFound(NotFound):
    """No such user, group or service principal."""

    code = "PRINCIPAL_DOES_NOT_EXIST"


class PrincipalExists(AlreadyExists):
    """The name belongs to another user, group or service principal."""

    code = "PRINCIPAL_ALREADY_EXISTS"


class TokenNotFound(NotFound):
    """No such access token, or it belongs to somebody else."""

    code = "TOKEN_DOES_NOT_EXIST"


class SecurableNotFound(NotFound):
    """The object does not exist, or does not exist for this caller."""


class CatalogNotFound(SecurableNotFound):
    """No such catalog for this caller."""

    code = "CATALOG_DOES_NOT_EXIST"


class SchemaNotFound(SecurableNotFound):
    """No such schema for this caller."""

    code = "SCHEMA_DOES_NOT_EXIST"


class TableNotFound(SecurableNotFound):
    """No such table or view for this caller."""

    code = "TABLE_OR_VIEW_NOT_FOUND"


class VolumeNotFound(SecurableNotFound):
    """No such volume for this caller."""

    code = "VOLUME_DOES_NOT_EXIST"


class FunctionNotFound(SecurableNotFound):
    """No such function for this caller."""

    code = "ROUTINE_NOT_FOUND"


class ModelNotFound(SecurableNotFound):
    """No such registered model for this caller; under the general code, for which MLflow's client looks."""


class IndexNotFound(SecurableNotFound):
    """No such vector index for this caller."""

    code = "INDEX_DOES_NOT_EXIST"


class AgentNotFound(SecurableNotFound):
    """No such agent for this caller."""

    code = "AGENT_DOES_NOT_EXIST"


class EndpointNotFound(SecurableNotFound):
    """No such endpoint for this caller."""

    code = "ENDPOINT_NOT_FOUND"


class WarehouseNotFound(SecurableNotFound):
    """No such warehouse for this caller."""

    code = "WAREHOUSE_DOES_NOT_EXIST"


class SecurableExists(AlreadyExists):
    """An object of this kind and name is there already."""


class SecurableNotEmpty(FailedPrecondition):
    """The object still holds others."""

    code = "SECURABLE_NOT_EMPTY"


class WrongCredential(Unauthenticated):
    """The token, session, link or password is wrong, used or expired; which of them is not told."""


class TooManyAttempts(ResourceExhausted):
    """Too many wrong passwords for this name; `details["retry_after_s"]` tells how long to wait."""

    code = "REQUEST_LIMIT_EXCEEDED"


class TooManyTokens(ResourceExhausted):
    """The principal holds as many tokens as one may hold."""

    code = "QUOTA_EXCEEDED"


class LastAdmin(FailedPrecondition):
    """Nobody would be left who may manage the metastore."""

    code = "LAST_ADMIN"


class BuiltInPrincipal(FailedPrecondition):
    """The groups `admins` and `account users` and the principal `system` cannot be renamed or removed."""

    code = "BUILT_IN_PRINCIPAL"


class AccessDenied(PermissionDenied):
    """The caller may see the object, yet lacks a privilege; the message names it."""


class FlowBlocked(PermissionDenied):
    """The content is above the clearance of the destination; the message names origins that the caller may browse."""

    code = "FLOW_BLOCKED"


class ApprovalNeeded(FlowBlocked):
    """The content is above the clearance, and somebody is asked: the same call passes once after it was approved (`approval_id`)."""

    code = "APPROVAL_NEEDED"


class TooManyApprovals(ResourceExhausted):
    """Too many calls of one caller wait for an approval."""

    code = "TOO_MANY_APPROVALS"


class ApprovalNotFound(NotFound):
    """No such approval for this caller, or it was decided already."""

    code = "APPROVAL_NOT_FOUND"


class DeclassificationNeeded(PermissionDenied):
    """The label would fall: only a metastore admin may do that."""

    code = "DECLASSIFICATION_NEEDED"


class AuditOverflow(Unavailable):
    """The audit takes no more rows, so nothing that must be recorded may be done."""

    code = "AUDIT_UNAVAILABLE"


NOT_FOUND_BY_KIND: Final[Mapping[str, type[SecurableNotFound]]] = {
    "CATALOG": CatalogNotFound,
    "SCHEMA": SchemaNotFound,
    "TABLE": TableNotFound,
    "VOLUME": VolumeNotFound,
    "FUNCTION": FunctionNotFound,
    "MODEL": ModelNotFound,
    "INDEX": IndexNotFound,
    "AGENT": AgentNotFound,
    "ENDPOINT": EndpointNotFound,
    "WAREHOUSE": WarehouseNotFound,
}
"""The error for a missing object, by the value of its kind; other kinds raise SecurableNotFound."""


class InvalidPolicy(InvalidArgument):
    """A policy or a condition on tags cannot be understood."""

    code = "INVALID_POLICY"


class InvalidTag(InvalidArgument):
    """A tag has no key, is too long, or an object has too many."""

    code = "INVALID_TAG"


class TagNotFound(NotFound):
    """The object has no such tag."""

    code = "TAG_ASSIGNMENT_DOES_NOT_EXIST"


class PolicyNotFound(NotFound):
    """The object has no policy of that name."""

    code = "POLICY_DOES_NOT_EXIST"


class PolicyExists(AlreadyExists):
    """The object has a policy of that name."""

    code = "POLICY_ALREADY_EXISTS"


class PolicyConflict(FailedPrecondition):
    """Policies contradict each other on a table, so nothing of the table is shown."""

    code = "POLICY_CONFLICT"


class ProtectionInUse(FailedPrecondition):
    """A function protects tables, which would become unreadable without it."""

    code = "ROUTINE_IN_USE"
