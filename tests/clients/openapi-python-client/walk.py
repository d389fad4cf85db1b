"""Calls the API with the package that openapi-python-client generates from openapi.yaml.

Usage: python walk.py BASE_URL EMAIL PASSWORD
"""

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

Body = TypeVar("Body")


def parsed(response: Response[Any], body_type: type[Body]) -> Body:
    """Returns the response body if it has this type. Exits otherwise."""
    if not isinstance(response.parsed, body_type):
        raise SystemExit(f"{response.status_code}: {response.content!r} is not a {body_type.__name__}")
    return response.parsed


def body_of(tokens: TokenResponse) -> RefreshTokenRequest:
    """The refresh token is missing only with the cookie transport."""
    if isinstance(tokens.refresh_token, Unset):
        raise SystemExit("The response has no refresh token.")
    return RefreshTokenRequest(refresh_token=tokens.refresh_token)


def print_step(step: str, response: Response[Any], **details: object) -> None:
    print(json.dumps({"step": step, "status": int(response.status_code), **details}))


def walk(base_url: str, email: str, password: str) -> None:
    # For operations with optional authentication, the signatures require an authenticated client, but the code does not.
    client = cast(AuthenticatedClient, Client(base_url=base_url))

    body = RegisterRequest(email=email, password=password, display_name="Ada Lovelace")
    registration = register.sync_detailed(client=client, body=body)
    registered = parsed(registration, Registration)
    print_step(
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
    print_step("login", logged_in, session_is_new=tokens.session_id != registered.session_id)

    refresh_response = refresh.sync_detailed(client=client, body=body_of(tokens))
    refreshed = parsed(refresh_response, TokenResponse)
    print_step(
        "refresh",
        refresh_response,
        refresh_token_is_new=refreshed.refresh_token != tokens.refresh_token,
        session_is_same=refreshed.session_id == tokens.session_id,
    )

    authenticated = AuthenticatedClient(base_url=base_url, token=refreshed.access_token)
    me = get_me.sync_detailed(client=authenticated)
    user = parsed(me, User)
    print_step("me", me, email=user.email, mfa_enabled=user.mfa_enabled)

    first = list_sessions.sync_detailed(client=authenticated, limit=1)
    newest = parsed(first, SessionList)
    if newest.next_cursor is None:
        raise SystemExit("The first page has no next_cursor.")
    second = list_sessions.sync_detailed(client=authenticated, limit=1, cursor=newest.next_cursor)
    older = parsed(second, SessionList)
    print_step(
        "sessions",
        first,
        current=[session.current for session in newest.sessions + older.sessions],
        is_last_page=older.next_cursor is None,
    )

    short = RegisterRequest(email=email, password="short", display_name="Ada Lovelace")
    invalid_registration = register.sync_detailed(client=client, body=short)
    invalid = parsed(invalid_registration, RegisterResponse400)
    if invalid.code is RegisterResponse400Code.VALIDATION_FAILED and not isinstance(invalid.errors, Unset):
        paths = [error.path for error in invalid.errors]
        print_step("invalid", invalid_registration, code=invalid.code, paths=paths)

    print_step("logout", logout.sync_detailed(client=client, body=body_of(refreshed)))

    rejected_refresh = refresh.sync_detailed(client=client, body=body_of(refreshed))
    refresh_error = parsed(rejected_refresh, RefreshResponse401)
    if refresh_error.code is RefreshResponse401Code.INVALID_REFRESH_TOKEN and refresh_error.reason is ProblemReason.REVOKED:
        print_step("refresh after logout", rejected_refresh, code=refresh_error.code, reason=refresh_error.reason)

    rejected_me = get_me.sync_detailed(client=authenticated)
    me_error = parsed(rejected_me, GetMeResponse401)
    if me_error.code is GetMeResponse401Code.INVALID_ACCESS_TOKEN:
        print_step("me after logout", rejected_me, code=me_error.code)


if __name__ == "__main__":
    walk(*sys.argv[1:])
