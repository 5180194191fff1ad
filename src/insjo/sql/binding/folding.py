"""Works out what is already known of a row filter or a mask: who asks, and what follows from that.

A filter that is true for a caller costs nothing then, and a masked column of which nothing is left is not read at all.  Only parts are
taken away whose value is certain and that cannot fail, so that the rest means what the whole meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from insjo.sql.dialect.session import SessionFacts

_MEMBERSHIP = frozenset({"is_account_group_member", "is_member"})
_USER = frozenset({"current_user", "session_user", "user"})


def fold(tree: exp.Expr, facts: SessionFacts) -> exp.Expr:
    """The expression without the choices that the facts decide; gives a new tree or the same one, changed."""
    holder = exp.Paren(this=tree)
    for node in list(holder.walk(bfs=False))[::-1]:
        if node is holder or node.parent is None:
            continue
        found = _folded(node, facts)
        if found is not None and found is not node:
            node.replace(found)
    inner = holder.this
    return inner.pop()  # type: ignore[no-any-return]  # sqlglot's args are untyped.


def truth(node: exp.Expr) -> bool | None:
    """Value of a constant condition; NULL counts as false, and None means that it is not known."""
    while isinstance(node, exp.Paren) or (isinstance(node, exp.Cast) and node.to.this is exp.DataType.Type.BOOLEAN):
        node = node.this
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    return False if isinstance(node, exp.Null) else None


def _folded(node: exp.Expr, facts: SessionFacts) -> exp.Expr | None:
    """What takes the place of a node whose parts are folded already, or None."""
    if isinstance(node, exp.CurrentUser):
        return exp.Literal.string(facts.user)
    if isinstance(node, exp.Anonymous):
        return _fact(node, facts)
    if isinstance(node, exp.Case):
        return _case(node)
    if isinstance(node, exp.If) and not isinstance(node.parent, exp.Case):
        known = truth(node.this)
        return None if known is None else _taken(node.args["true"] if known else node.args.get("false"))
    return _condition(node)


def _condition(node: exp.Expr) -> exp.Expr | None:
    """A condition of which all or a part is known."""
    if isinstance(node, exp.Paren | exp.Not):
        return _inside(node)
    if isinstance(node, exp.And | exp.Or):
        return _joined(node)
    if isinstance(node, exp.EQ | exp.NEQ):
        left, right = _text(node.this), _text(node.expression)
        return None if left is None or right is None else _boolean((left == right) is isinstance(node, exp.EQ))
    if isinstance(node, exp.In) and not any(node.args.get(key) for key in ("query", "unnest", "field")):
        value, listed = _text(node.this), [_text(each) for each in node.expressions]
        return None if value is None or any(each is None for each in listed) else _boolean(value in listed)
    return None


def _fact(node: exp.Anonymous, facts: SessionFacts) -> exp.Expr | None:
    """A function that asks who is there."""
    name = str(node.this).lower()
    if name in _USER and not node.expressions:
        return exp.Literal.string(facts.user)
    if name in _MEMBERSHIP and len(node.expressions) == 1:
        group = _text(node.expressions[0])
        return None if group is None else _boolean(group.lower() in facts.groups)
    return None


def _inside(node: exp.Expr) -> exp.Expr | None:
    """Parentheses around, and NOT in front of, what is known."""
    inner = node.this
    if isinstance(node, exp.Not):
        return _boolean(not inner.this) if isinstance(inner, exp.Boolean) else None
    return inner.copy() if isinstance(inner, exp.Boolean | exp.Literal | exp.Null) else None


def _joined(node: exp.Expr) -> exp.Expr | None:
    """AND and OR with a side that is known; the other side may be dropped because neither side promises to be worked out."""
    decides = isinstance(node, exp.Or)
    for side, other in ((node.this, node.expression), (node.expression, node.this)):
        if isinstance(side, exp.Boolean):
            return _boolean(decides) if bool(side.this) is decides else other.copy()
    return None


def _case(node: exp.Case) -> exp.Expr | None:
    """CASE WHEN without the branches that are not taken; one whose condition is certain ends it."""
    subject = node.args.get("this")
    kept: list[exp.Expr] = []
    for branch in node.args.get("ifs") or []:
        known = _matches(subject, branch.this)
        if known is False:
            continue
        if known is True:
            if not kept:
                return _taken(branch.args["true"])
            return exp.Case(this=subject.copy() if subject else None, ifs=kept, default=branch.args["true"].copy())
        kept.append(branch.copy())
    if not kept:
        return _taken(node.args.get("default"))
    if len(kept) == len(node.args.get("ifs") or []):
        return None
    default = node.args.get("default")
    return exp.Case(this=subject.copy() if subject else None, ifs=kept, default=default.copy() if default else None)


def _matches(subject: exp.Expr | None, condition: exp.Expr) -> bool | None:
    """Whether a branch is taken, if that is certain."""
    if subject is None:
        return truth(condition)
    left, right = _text(subject), _text(condition)
    return None if left is None or right is None else left == right


def _taken(value: exp.Expr | None) -> exp.Expr:
    """The value of a choice; without one it is NULL."""
    return exp.Null() if value is None else value.copy()


def _bare(node: exp.Expr) -> exp.Expr:
    """Without parentheses."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _text(node: exp.Expr) -> str | None:
    """Text of a constant in quotes."""
    node = _bare(node)
    if isinstance(node, exp.Cast) and node.to.this is exp.DataType.Type.TEXT:
        node = _bare(node.this)
    return str(node.this) if isinstance(node, exp.Literal) and node.is_string else None


def _boolean(value: bool) -> exp.Boolean:
    return exp.Boolean(this=value)
