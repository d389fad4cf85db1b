// Protects GET /orders with access tokens of ISSUER for AUDIENCE that have the scope "profile".
import { createServer } from 'node:http';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

const { ISSUER: issuer, AUDIENCE: audience, JWT_ALG: alg = 'ES256', PORT: port } = process.env;

// Fetches the keys again for an unknown kid, at most once every 10 seconds.
const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`), {
  cacheMaxAge: 300_000,
  cooldownDuration: 10_000,
});
const expected = {
  issuer,
  audience,
  typ: 'at+jwt',
  algorithms: [alg], // never trust the alg of the token
  requiredClaims: ['sub', 'exp'],
  clockTolerance: 5,
};

const keyErrors = ['ERR_JOSE_GENERIC', 'ERR_JWKS_INVALID', 'ERR_JWKS_TIMEOUT'];

/** Returns the claims of a valid token and undefined for an invalid one. Throws if the keys are unavailable. */
async function verify(token) {
  try {
    return (await jwtVerify(token, keys, expected)).payload;
  } catch (error) {
    if (error instanceof errors.JOSEError && !keyErrors.includes(error.code)) return undefined;
    throw error;
  }
}

async function handle(req, res) {
  const [, token = ''] = /^Bearer +([^ ]+)$/i.exec(req.headers.authorization ?? '') ?? [];
  const claims = await verify(token);
  if (!claims) return res.writeHead(401, { 'WWW-Authenticate': 'Bearer error="invalid_token"' }).end();
  const scopes = String(claims.scope ?? '').split(' ');
  if (req.url !== '/orders') res.writeHead(404).end();
  else if (scopes.includes('profile')) res.end(`orders of ${claims.sub}`);
  else res.writeHead(403, { 'WWW-Authenticate': 'Bearer error="insufficient_scope", scope="profile"' }).end();
}

createServer((req, res) => {
  handle(req, res).catch(() => res.writeHead(503, { 'Retry-After': '5' }).end());
}).listen(Number(port), '127.0.0.1');
