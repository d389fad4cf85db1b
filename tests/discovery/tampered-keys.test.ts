import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { exportJWK, generateKeyPair } from 'jose';
import { startApp, type TestApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const masterKeys = Buffer.alloc(32, 9).toString('base64url');
let database: TestDatabase;
let app: TestApp;
beforeAll(async () => {
  database = await createDatabase();
  app = await startApp({ MASTER_KEYS: masterKeys }, { databaseUrl: database.url });
});
afterAll(async () => {
  await app.close();
  await database.drop();
});

test('who can write to the database, but has no master key, gets no key of their own into the JWKS', async () => {
  const { body: genuine } = await app.get('/.well-known/jwks.json');
  const { publicKey } = await generateKeyPair('ES256', { extractable: true });
  const theirs = await exportJWK(publicKey);
  await app.sql.query('UPDATE signing_keys SET public_jwk = public_jwk || $1', [theirs]);

  const restarted = await startApp({ MASTER_KEYS: masterKeys }, { databaseUrl: database.url });
  const { body: published } = await restarted.get('/.well-known/jwks.json');
  await restarted.close();
  expect(published).toEqual(genuine);
  expect(JSON.stringify(published)).not.toContain(theirs.x);

  await app.sql.query(
    `INSERT INTO signing_keys (kid, alg, status, public_jwk, sealed_key, master_key_id)
     SELECT 'theirs', alg, 'retired', $1, sealed_key, master_key_id FROM signing_keys WHERE status = 'active'`,
    [theirs],
  );
  await expect(startApp({ MASTER_KEYS: masterKeys }, { databaseUrl: database.url })).rejects.toThrow('is damaged');
});
