// Writes the issuer's keys as PEM files, and run/haproxy.cfg with a line for each. Exits with 0 where they changed, 3
// where they did not, and 1 where they cannot be had: then the last ones stay.
import { createPublicKey } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const response = await fetch(`${process.env.ISSUER}/.well-known/jwks.json`, { signal: AbortSignal.timeout(5000) });
if (!response.ok) throw new Error(`The JWKS answered ${response.status}`);
const { keys } = await response.json();
const algorithm = process.env.JWT_ALG;

mkdirSync('run/keys', { recursive: true });
const lines = keys
  // What stands in a configuration file is checked first: thumbprints are base64url.
  .filter(({ kid, alg, use }) => alg === algorithm && use === 'sig' && /^[\w-]{1,64}$/.test(kid))
  .map((jwk) => {
    const path = `run/keys/${jwk.kid}.pem`;
    writeFileSync(path, createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }));
    // `--`, as one name in 64 begins with a dash.
    const verified = `var(txn.token),jwt_verify("${jwk.alg}","${path}")`;
    return `http-request set-var(txn.verified) ${verified} if { var(txn.kid) -m str -- "${jwk.kid}" }`;
  });
const config = readFileSync('haproxy.cfg', 'utf8').replace('#KEYS#', lines.join('\n  '));

let before;
try {
  before = readFileSync('run/haproxy.cfg', 'utf8');
} catch {}
if (lines.length === 0 || config === before) process.exit(3);
writeFileSync('run/haproxy.cfg', config);
