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

test('a key written to the database without the master key is never published', async () => {
  const { body: genuine } = await app.get('/.well-known/jwks.json');
  const { publicKey } = await generateKeyPair('ES256', { extractable: true });
  const forged = await exportJWK(publicKey);
  await app.db.signingKeys.addToPublicJwks(forged);

  const restarted = await startApp({ MASTER_KEYS: masterKeys }, { databaseUrl: database.url });
  const { body: published } = await restarted.get('/.well-known/jwks.json');
  await restarted.close();
  expect(published).toEqual(genuine);
  expect(JSON.stringify(published)).not.toContain(forged.x);

  await app.db.signingKeys.insertCopy({ kid: 'forged', status: 'retired', of: 'active', publicJwk: forged });
  await expect(startApp({ MASTER_KEYS: masterKeys }, { databaseUrl: database.url })).rejects.toThrow('is damaged');
});
