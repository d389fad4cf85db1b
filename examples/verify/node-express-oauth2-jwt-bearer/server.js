// Protects GET /orders with access tokens of ISSUER for AUDIENCE that have the scope "profile".
import express from 'express';
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer';

const { ISSUER: issuer, AUDIENCE: audience, JWT_ALG: alg = 'ES256', PORT: port } = process.env;

const authenticate = auth({
  issuer,
  audience,
  jwksUri: `${issuer}/.well-known/jwks.json`,
  tokenSigningAlg: alg, // never trust the alg of the token
  strict: true, // requires typ to be at+jwt
  clockTolerance: 5,
  cacheMaxAge: 300_000,
  // Fetches the keys again for an unknown kid, at most once every 10 seconds.
  cooldownDuration: 10_000,
});

const app = express();
app.get('/orders', authenticate, requiredScopes('profile'), (req, res) => {
  res.send(`orders of ${req.auth.payload.sub}`);
});
// Errors of the library have a status and a challenge. Any other error means that the keys are unavailable.
app.use((error, _req, res, _next) => {
  res
    .status(error.status ?? 503)
    .set(error.headers ?? {})
    .end();
});
app.listen(Number(port), '127.0.0.1');
