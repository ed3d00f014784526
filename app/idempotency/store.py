"""Idempotency keys in the database; the functions run inside one transaction.

A row belongs to one attempt at a request, its claim. While the attempt runs, the row has a lease;
an attempt whose lease has expired counts as abandoned, and the next request takes the row over. The
primary key of owner and key makes sure that only one does, whatever number of servers there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Row, bindparam, delete, func, select, text, update
from sqlalchemy.orm import Session

from app.idempotency.outcome import Claim, Outcome
from app.storage.ids import now
from app.storage.tables import IdempotencyKey

LEASE_MILLISECONDS = 15_000
"""An attempt whose lease was not renewed for this time counts as abandoned."""

KEPT_MILLISECONDS = 24 * 3600 * 1000
"""How long an outcome is kept."""

ROW_BYTES = 512
"""What a row takes beside its content, roughly."""

MAX_ROWS = 100
MAX_BYTES = 4 * 2**20
"""What one transaction deletes. SQLite overwrites it."""

# In both kinds of database, which SQLAlchemy has a statement of its own for each.
_CLAIM = text(
    "INSERT INTO idempotency_keys (owner, key, claim, target, lease_until, size, expires_at)"
    " VALUES (:owner, :key, :claim, :target, :lease_until, :size, :expires_at)"
    " ON CONFLICT (owner, key) DO UPDATE SET claim = excluded.claim, target = excluded.target,"
    " lease_until = excluded.lease_until, size = excluded.size,"
    " expires_at = excluded.expires_at, body = NULL, head = NULL, content = NULL"
    " WHERE idempotency_keys.expires_at < :now OR idempotency_keys.lease_until < :now"
    " RETURNING claim"
)
_OF_CLAIM = (
    IdempotencyKey.owner == bindparam("of_owner"),
    IdempotencyKey.key == bindparam("of_key"),
    IdempotencyKey.claim == bindparam("of_claim"),
)
_RUNNING = IdempotencyKey.lease_until.is_not(None)
_RENEW = update(IdempotencyKey).where(*_OF_CLAIM, _RUNNING).values(lease_until=bindparam("lease"))
_DELETE = delete(IdempotencyKey).where(*_OF_CLAIM)
_FIND = select(
    IdempotencyKey.claim,
    IdempotencyKey.target,
    IdempotencyKey.body,
    IdempotencyKey.head,
    IdempotencyKey.content,
    IdempotencyKey.lease_until,
)


class KeyTaken(Exception):
    """The key belongs to a request that is still being answered, or to another request."""

    def __init__(self, *, same_target: bool) -> None:
        super().__init__()
        self.same_target = same_target


def _values(claim: Claim) -> dict[str, str]:
    return {"of_owner": claim.owner, "of_key": claim.key, "of_claim": claim.id}


def claim_key(session: Session, claim: Claim, target: str) -> Claim | Outcome | None:
    """Take the key, or return the outcome that it has; None: it was given up meanwhile, try again.

    ``target`` is the digest of the request without its body. Raises KeyTaken.
    """
    moment = now()
    row = {
        "owner": claim.owner,
        "key": claim.key,
        "claim": claim.id,
        "target": target,
        "lease_until": moment + LEASE_MILLISECONDS,
        "size": ROW_BYTES,
        "expires_at": moment + KEPT_MILLISECONDS,
    }
    if session.execute(_CLAIM, row | {"now": moment}).first():
        return claim
    mine = IdempotencyKey.owner == claim.owner, IdempotencyKey.key == claim.key
    if (found := session.execute(_FIND.where(*mine)).first()) is None:
        return None
    if found.target != target or found.lease_until is not None:
        raise KeyTaken(same_target=found.target == target)
    return Outcome(found.body or "", found.head or {}, found.content or b"")


def record(session: Session, claim: Claim, outcome: Outcome) -> bool:
    """Store the outcome of an attempt; False if another one has taken the key over."""
    values = {
        "body": outcome.body,
        "head": dict(outcome.head),
        "content": outcome.content,
        "size": len(outcome.content) + ROW_BYTES,
        "lease_until": None,
        "expires_at": now() + KEPT_MILLISECONDS,
    }
    statement = update(IdempotencyKey).where(*_OF_CLAIM, _RUNNING).values(values)
    found = session.execute(statement.returning(IdempotencyKey.claim), _values(claim))
    return found.first() is not None


def release(session: Session, claim: Claim) -> None:
    """Give a running attempt up: the next request with the key runs."""
    session.connection().execute(_DELETE.where(_RUNNING), _values(claim))


def release_all(session: Session) -> None:
    """Give up every running attempt: those of servers that died."""
    session.connection().execute(delete(IdempotencyKey).where(_RUNNING))


def renew(session: Session, claims: Sequence[Claim]) -> None:
    """Renew the leases of running attempts."""
    lease = now() + LEASE_MILLISECONDS
    rows = [_values(claim) | {"lease": lease} for claim in claims]
    session.connection().execute(_RENEW, rows)


def due(session: Session, most_bytes: int) -> list[Claim]:
    """Rows to be deleted next: expired ones, then the oldest beyond ``most_bytes`` of all."""
    wanted = select(
        IdempotencyKey.owner, IdempotencyKey.key, IdempotencyKey.claim, IdempotencyKey.size
    ).order_by(IdempotencyKey.expires_at)
    moment = now()
    expired = session.execute(
        wanted.where(IdempotencyKey.expires_at < moment).limit(MAX_ROWS)
    ).all()
    if expired:
        return _within(expired, MAX_BYTES)
    excess = (session.scalar(select(func.sum(IdempotencyKey.size))) or 0) - most_bytes
    if excess <= 0:
        return []
    oldest = session.execute(wanted.where(~_RUNNING).limit(MAX_ROWS)).all()
    return _within(oldest, min(excess, MAX_BYTES))


def _within(rows: Sequence[Row[str, str, str, int]], most: int) -> list[Claim]:
    """The first rows, until they have so many bytes together."""
    claims: list[Claim] = []
    size = 0
    for owner, key, claim, held in rows:
        if size >= most:
            break
        claims.append(Claim(owner, key, claim))
        size += held
    return claims


def remove(session: Session, claims: Sequence[Claim]) -> None:
    """Delete rows, unless another attempt has taken them over."""
    session.connection().execute(_DELETE, [_values(claim) for claim in claims])
