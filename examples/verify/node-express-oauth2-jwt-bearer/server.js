// GET /orders, for access tokens of ISSUER that are meant for AUDIENCE and hold the scope "profile".
import express from 'express';
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer';

const { ISSUER: issuer, AUDIENCE: audience, JWT_ALG: alg = 'ES256', PORT: port } = process.env;

const authenticate = auth({
  issuer,
  audience,
  jwksUri: `${issuer}/.well-known/jwks.json`,
  tokenSigningAlg: alg, // never the token's
  strict: true, // typ must be at+jwt
  clockTolerance: 5,
  cacheMaxAge: 300_000,
  // Fetches again for an unknown key, since that may be a new one, but not oftener than every 10 seconds.
  cooldownDuration: 10_000,
});

const app = express();
app.get('/orders', authenticate, requiredScopes('profile'), (req, res) => {
  res.send(`orders of ${req.auth.payload.sub}`);
});
// The library's errors know their status and their challenge; what else fails is not the caller's fault.
app.use((error, _req, res, _next) => {
  res
    .status(error.status ?? 503)
    .set(error.headers ?? {})
    .end();
});
app.listen(Number(port), '127.0.0.1');
