"""Authenticates requests, and ignores rejections by rules that the OpenAPI document cannot express."""

import os
import unicodedata

import requests
import schemathesis

service = os.environ["FUZZED_URL"]
password = "correct horse battery staple"  # as in the examples, so that they change and delete the account


class User:
    """Logs in again after a request has ended the session, and registers again after one has deleted the account."""

    def __init__(self):
        self.http = requests.Session()
        self.accounts = 0
        self.tokens = None

    def access_token(self):
        if self.tokens is None or self.me().status_code != 200:
            self.log_in()
        return self.tokens["access_token"]

    def fresh_refresh_token(self):
        self.log_in()
        return self.tokens["refresh_token"]

    def me(self):
        return self.http.get(f"{service}/me", headers={"Authorization": f"Bearer {self.tokens['access_token']}"})

    def log_in(self):
        answer = self.post("/login", {}) if self.tokens else None
        if answer is None or answer.status_code == 401:
            self.accounts += 1
            answer = self.post("/register", {"display_name": "Ada Lovelace"})
        answer.raise_for_status()
        self.tokens = answer.json()

    def post(self, path, more):
        email = f"fuzzer.{self.accounts}@example.com"
        return self.http.post(service + path, json={"email": email, "password": password, **more})


user = User() if os.environ["FUZZED_AS"] == "user" else None
refresh_tokens = 0

if user:

    @schemathesis.auth(refresh_interval=None)
    class GoodToken:
        def get(self, case, context):
            return user.access_token()

        def set(self, case, token, context):
            case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes valid bodies pass the rules below, so that the handlers are reached."""
    global refresh_tokens
    if case.meta is None or not case.meta.generation.mode.is_positive or not isinstance(case.body, dict):
        return
    name = case.body.get("display_name")
    if isinstance(name, str):
        seen = "".join(char for char in name if unicodedata.category(char) not in ("Cc", "Cf"))
        case.body["display_name"] = seen or name
    if user and "refresh_token" in case.body:
        refresh_tokens += 1
        if refresh_tokens % 2:
            case.body["refresh_token"] = user.fresh_refresh_token()


# Messages of rules that JSON Schema cannot express. Requests that are valid by the document can break them.
not_text = "must be valid Unicode text without NUL"
weak = (
    "This is one of the most commonly used passwords, which attackers try first. Choose another one.",
    "This password is too similar to your email address. Choose another one.",
    "This password is too similar to your name. Choose another one.",
)
inexpressible = {
    "refresh_token": ("is required, here or in the cookie",),
    "X-API-Key": ("must not be combined with Authorization",),
    "scope": ("must contain at least one scope of your roles",),
    "password": (not_text, *weak),
    "current_password": (not_text,),
    "new_password": (not_text, *weak),
    "query": (not_text,),
    "cursor": ("must be the `next_cursor` of a page", "must be the `next_cursor` of the same list"),
    "description": (not_text,),
    "ip": ("must be an IP address or a CIDR, such as 192.0.2.0/24",),
    "since": ("must be a time from 1970 to ten years ahead", "must be an RFC 3339 date and time"),
    "until": (
        "must be a time from 1970 to ten years ahead",
        "must be an RFC 3339 date and time",
        "must be later than since",
    ),
    "roles": ("must be existing roles",),
    "new_email": ("is already the email address of your account",),
    # Names are trimmed before they are validated, so a pattern for the untrimmed name would reject valid ones.
    "display_name": (
        not_text,
        "must have 1 to 100 characters",
        "must have no control characters and no directional overrides",
        "must have at least one visible character",
    ),
}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Returns False for the rejection of a valid request if all its errors are listed above."""
    if type(failure).__name__ != "RejectedPositiveData" or response.status_code != 400:
        return True
    if "error" in response.json():
        return False  # RFC 6749 defines the parameters of each grant in prose
    if response.json().get("code") == "invalid_token":
        return False  # depends on the database
    errors = response.json().get("errors", [])
    return not errors or any(error["message"] not in inexpressible.get(error["path"], ()) for error in errors)
