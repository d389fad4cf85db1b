"""Who calls, with what, and which refusals are right although the OpenAPI document has no words for their rules."""

import os
import unicodedata

import requests
import schemathesis

service = os.environ["FUZZED_URL"]
password = "correct horse battery staple"  # the examples' own, so that they change and delete the account


class User:
    """Logged in again when a request has ended the session, registered again when one has deleted the account."""

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
    """Helps well-formed bodies to pass the door, so that what lies behind it is reached."""
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


# Rules that JSON Schema has no words for: a request that is well-formed by the document may break them.
not_text = "must be valid Unicode text without NUL"
weak = (
    "This is one of the most commonly used passwords, which attackers try first. Choose another one.",
    "This password is too similar to your email address. Choose another one.",
    "This password is too similar to your name. Choose another one.",
)
unsayable = {
    "refresh_token": ("is needed, here or in the cookie",),
    "X-API-Key": ("must not come with Authorization",),
    "scope": ("must name at least one scope that your roles give",),
    "password": (not_text, *weak),
    "current_password": (not_text,),
    "new_password": (not_text, *weak),
    "query": (not_text,),
    "cursor": ("must be the next_cursor of a page",),
    "description": (not_text,),
    "roles": ("must name roles that there are",),
    "new_email": ("is the address of your account already",),
    # White space around a name is trimmed before it is judged, so a pattern for what is sent would refuse good ones.
    "display_name": (
        not_text,
        "must have 1 to 100 characters",
        "must have no control characters and no directional overrides",
        "must have a character that can be seen",
    ),
}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """False for the refusal of a well-formed request where each of its faults is a rule from the list above."""
    if type(failure).__name__ != "RejectedPositiveData" or response.status_code != 400:
        return True
    if "error" in response.json():
        return False  # which parameters a grant needs, and what they may be together, RFC 6749 says in words
    if response.json().get("code") == "invalid_token":
        return False  # whether a mailed token is good, no document can say
    faults = response.json().get("errors", [])
    return not faults or any(fault["message"] not in unsayable.get(fault["path"], ()) for fault in faults)
