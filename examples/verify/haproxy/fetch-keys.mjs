// Writes the issuer's keys to PEM files and adds a line for each key to run/haproxy.cfg. Exits with 0 if the keys have
// changed, 3 if they have not, and 1 if they are unavailable; the previous keys then stay in use.
import { createPublicKey } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const response = await fetch(`${process.env.ISSUER}/.well-known/jwks.json`, { signal: AbortSignal.timeout(5000) });
if (!response.ok) throw new Error(`The JWKS endpoint responded with ${response.status}`);
const { keys } = await response.json();
const algorithm = process.env.JWT_ALG;

mkdirSync('run/keys', { recursive: true });
const lines = keys
  // Validates values before they are written to the configuration. A kid is a base64url thumbprint.
  .filter(({ kid, alg, use }) => alg === algorithm && use === 'sig' && /^[\w-]{1,64}$/.test(kid))
  .map((jwk) => {
    const path = `run/keys/${jwk.kid}.pem`;
    writeFileSync(path, createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }));
    // `--` because a kid may begin with a dash.
    const verified = `var(txn.token),jwt_verify("${jwk.alg}","${path}")`;
    return `http-request set-var(txn.verified) ${verified} if { var(txn.kid) -m str -- "${jwk.kid}" }`;
  });
const config = readFileSync('haproxy.cfg', 'utf8').replace('#KEYS#', lines.join('\n  '));

let previous;
try {
  previous = readFileSync('run/haproxy.cfg', 'utf8');
} catch {}
if (lines.length === 0 || config === previous) process.exit(3);
writeFileSync('run/haproxy.cfg', config);
