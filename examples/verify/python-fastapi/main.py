"""Protects GET /orders with access tokens of ISSUER for AUDIENCE that have the scope "profile"."""

import os

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

issuer, audience = os.environ["ISSUER"], os.environ["AUDIENCE"]
alg = os.environ.get("JWT_ALG", "ES256")

# Fetches the keys again for an unknown kid, at most once every 10 seconds.
keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", lifespan=300, cooldown_duration=10, timeout=3)
bearer = HTTPBearer(auto_error=False)


def bearer_error(status: int, challenge: str) -> HTTPException:
    return HTTPException(status, headers={"WWW-Authenticate": f"Bearer {challenge}"})


# Not async, so that FastAPI runs it in a thread: PyJWT fetches the keys in a blocking call.
def verify(credentials: HTTPAuthorizationCredentials | None = Depends(bearer)) -> dict:
    if credentials is None:
        raise bearer_error(401, 'realm="orders"')
    try:
        token = jwt.decode_complete(
            credentials.credentials,
            keys.get_signing_key_from_jwt(credentials.credentials),
            algorithms=[alg],  # never trust the alg of the token
            issuer=issuer,
            audience=audience,
            leeway=5,
            options={"require": ["iss", "aud", "exp", "sub"]},
        )
    except jwt.PyJWKClientConnectionError:
        raise HTTPException(503, headers={"Retry-After": "5"})
    except jwt.PyJWTError:
        raise bearer_error(401, 'error="invalid_token"')
    if token["header"].get("typ") != "at+jwt":
        raise bearer_error(401, 'error="invalid_token"')
    return token["payload"]


app = FastAPI()


@app.get("/orders")
def orders(claims: dict = Depends(verify)) -> str:
    if "profile" not in claims.get("scope", "").split():
        raise bearer_error(403, 'error="insufficient_scope", scope="profile"')
    return f"orders of {claims['sub']}"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
