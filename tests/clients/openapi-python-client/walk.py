"""The walk by the package that openapi-python-client made of openapi.yaml: `python walk.py BASE_URL EMAIL PASSWORD`."""

import json
import sys
from typing import Any, TypeVar, cast

from keyturn import AuthenticatedClient, Client
from keyturn.api.accounts import get_me, register
from keyturn.api.sessions import list_sessions, login, logout, refresh
from keyturn.models import (
    GetMeResponse401,
    GetMeResponse401Code,
    LoginRequest,
    ProblemReason,
    RefreshResponse401,
    RefreshResponse401Code,
    RefreshTokenRequest,
    RegisterRequest,
    RegisterResponse400,
    RegisterResponse400Code,
    Registration,
    SessionList,
    TokenResponse,
    User,
)
from keyturn.types import Response, Unset

Answer = TypeVar("Answer")


def parsed(response: Response[Any], answer: type[Answer]) -> Answer:
    """What was answered, where it is of this type."""
    if not isinstance(response.parsed, answer):
        raise SystemExit(f"{response.status_code}: {response.content!r} is no {answer.__name__}")
    return response.parsed


def body_of(tokens: TokenResponse) -> RefreshTokenRequest:
    """Left out of an answer only where it travels in a cookie."""
    if isinstance(tokens.refresh_token, Unset):
        raise SystemExit("an answer without a refresh token")
    return RefreshTokenRequest(refresh_token=tokens.refresh_token)


def say(step: str, response: Response[Any], **seen: object) -> None:
    print(json.dumps({"step": step, "status": int(response.status_code), **seen}))


def walk(base_url: str, email: str, password: str) -> None:
    # Where a token may be sent and need not, its signatures want one that has it, and its code works without.
    client = cast(AuthenticatedClient, Client(base_url=base_url))

    body = RegisterRequest(email=email, password=password, display_name="Ada Lovelace")
    registration = register.sync_detailed(client=client, body=body)
    registered = parsed(registration, Registration)
    say(
        "register",
        registration,
        email=registered.user.email,
        display_name=registered.user.display_name,
        roles=registered.user.roles,
        token_type=registered.token_type,
        expires_in=registered.expires_in,
    )

    logged_in = login.sync_detailed(client=client, body=LoginRequest(email=email, password=password))
    tokens = parsed(logged_in, TokenResponse)
    say("login", logged_in, session_is_new=tokens.session_id != registered.session_id)

    traded = refresh.sync_detailed(client=client, body=body_of(tokens))
    refreshed = parsed(traded, TokenResponse)
    say(
        "refresh",
        traded,
        refresh_token_is_new=refreshed.refresh_token != tokens.refresh_token,
        session_is_same=refreshed.session_id == tokens.session_id,
    )

    mine = AuthenticatedClient(base_url=base_url, token=refreshed.access_token)
    me = get_me.sync_detailed(client=mine)
    user = parsed(me, User)
    say("me", me, email=user.email, mfa_enabled=user.mfa_enabled)

    first = list_sessions.sync_detailed(client=mine, limit=1)
    newest = parsed(first, SessionList)
    if newest.next_cursor is None:
        raise SystemExit("a page that is the last too early")
    second = list_sessions.sync_detailed(client=mine, limit=1, cursor=newest.next_cursor)
    older = parsed(second, SessionList)
    say(
        "sessions",
        first,
        current=[session.current for session in newest.sessions + older.sessions],
        is_last_page=older.next_cursor is None,
    )

    short = RegisterRequest(email=email, password="short", display_name="Ada Lovelace")
    registration_again = register.sync_detailed(client=client, body=short)
    invalid = parsed(registration_again, RegisterResponse400)
    if invalid.code is RegisterResponse400Code.VALIDATION_FAILED and not isinstance(invalid.errors, Unset):
        paths = [error.path for error in invalid.errors]
        say("invalid", registration_again, code=invalid.code, paths=paths)

    say("logout", logout.sync_detailed(client=client, body=body_of(refreshed)))

    ended = refresh.sync_detailed(client=client, body=body_of(refreshed))
    refused = parsed(ended, RefreshResponse401)
    if refused.code is RefreshResponse401Code.INVALID_REFRESH_TOKEN and refused.reason is ProblemReason.REVOKED:
        say("refresh after logout", ended, code=refused.code, reason=refused.reason)

    stranger = get_me.sync_detailed(client=mine)
    unknown = parsed(stranger, GetMeResponse401)
    if unknown.code is GetMeResponse401Code.INVALID_ACCESS_TOKEN:
        say("me after logout", stranger, code=unknown.code)


if __name__ == "__main__":
    walk(*sys.argv[1:])
