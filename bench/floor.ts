// The lower bound of a refresh: a bare node:http server that runs the service's own statement through `pg` and signs the same
// token with the same functions. It has no routing, validation, headers, log, limits or error handling.
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { deriveMasterKeys } from '../src/lib/master-keys.ts';
import { generateSigningKey, makeSigningKey } from '../src/core/signing-keys/signing-key.ts';
import type { LiveSession } from '../src/core/sessions/live-session.sql.ts';
import { hashToken, makeRatchet, newSalt, next } from '../src/core/sessions/refresh-token.ts';
import { makeSignAccessToken } from '../src/core/tokens/sign-access-token.ts';
import { makeTokens } from '../src/core/tokens/issue-tokens.ts';
import { toTokenResponse } from '../src/http/schemas/token-response.ts';
import { systemClock } from '../src/lib/clock.ts';
import { networkOf } from '../src/lib/network.ts';
import type { RotationStatement } from './support/statement.ts';

export interface FloorSettings {
  databaseUrl: string;
  poolMax: number;
  masterKey: string;
  issuer: string;
  accessTtlSeconds: number;
  statement: RotationStatement;
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of req.setEncoding('utf8')) body += chunk as string;
  return body;
}

async function makeHandler(settings: FloorSettings) {
  const { issuer, accessTtlSeconds, statement } = settings;
  const ratchet = makeRatchet(deriveMasterKeys([Buffer.from(settings.masterKey, 'base64url')]));
  const pool = new pg.Pool({ connectionString: settings.databaseUrl, max: settings.poolMax });
  const { kid, privateKey } = await generateSigningKey('ES256');
  const key = makeSigningKey(kid, 'ES256', privateKey);
  const keyring = { active: () => key, find: () => key };
  const accessTokens = { keyring, clock: systemClock, issuer, audience: [issuer], accessTtlSeconds };
  const tokens = makeTokens({
    sign: makeSignAccessToken(accessTokens),
    keyring,
    accessTtlSeconds,
    fitGrants: (_userId, grants) => grants,
  });

  return async (req: IncomingMessage): Promise<string> => {
    const { refresh_token: presented } = JSON.parse(await bodyOf(req)) as { refresh_token: string };
    const token = ratchet.parse(presented);
    if (!token) throw new Error('invalid token');
    const salt = newSalt();
    const successor = next(token, salt);
    const parts = {
      sessionId: token.sessionId,
      generation: token.generation,
      tokenHash: hashToken(token),
      nextHash: hashToken(successor),
      salt,
      network: networkOf(req.socket.remoteAddress ?? ''),
    };
    const values = statement.parameters.map((each) => ('part' in each ? parts[each.part] : each.constant));
    const { rows } = await pool.query<LiveSession>({ name: 'rotate', text: statement.text, values });
    if (!rows[0]) throw new Error('not rotated');
    return JSON.stringify(toTokenResponse(tokens.issue(rows[0], successor)));
  };
}

process.once('message', (settings: FloorSettings) => {
  void makeHandler(settings).then((handle) => {
    const server = createServer((req, res) => {
      handle(req).then(
        (reply) => {
          const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(reply) };
          res.writeHead(200, headers).end(reply);
        },
        (error: unknown) => res.writeHead(500).end(String(error)),
      );
    });
    server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
  });
});
