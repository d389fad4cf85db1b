"""GET /orders, for access tokens of ISSUER that are meant for AUDIENCE and hold the scope "profile"."""

import os

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

issuer, audience = os.environ["ISSUER"], os.environ["AUDIENCE"]
alg = os.environ.get("JWT_ALG", "ES256")

# Fetches again for an unknown key, since that may be a new one, but not oftener than every 10 seconds.
keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", lifespan=300, cooldown_duration=10, timeout=3)
bearer = HTTPBearer(auto_error=False)


def refuse(status: int, challenge: str) -> HTTPException:
    return HTTPException(status, headers={"WWW-Authenticate": f"Bearer {challenge}"})


# Not async: PyJWT fetches the keys in a blocking call, for which FastAPI then has a thread.
def verify(sent: HTTPAuthorizationCredentials | None = Depends(bearer)) -> dict:
    if sent is None:
        raise refuse(401, 'realm="orders"')
    try:
        token = jwt.decode_complete(
            sent.credentials,
            keys.get_signing_key_from_jwt(sent.credentials),
            algorithms=[alg],  # never the token's
            issuer=issuer,
            audience=audience,
            leeway=5,
            options={"require": ["iss", "aud", "exp", "sub"]},
        )
    except jwt.PyJWKClientConnectionError:
        raise HTTPException(503, headers={"Retry-After": "5"})
    except jwt.PyJWTError:
        raise refuse(401, 'error="invalid_token"')
    if token["header"].get("typ") != "at+jwt":
        raise refuse(401, 'error="invalid_token"')
    return token["payload"]


app = FastAPI()


@app.get("/orders")
def orders(claims: dict = Depends(verify)) -> str:
    if "profile" not in claims.get("scope", "").split():
        raise refuse(403, 'error="insufficient_scope", scope="profile"')
    return f"orders of {claims['sub']}"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
