/** What global-setup.ts tells the tests of a run. */
export function published(name: 'TEST_ADMIN_URL' | 'TEST_TEMPLATE' | 'TEST_REDIS_URL'): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: tests run under jest, with its globalSetup`);
  return value;
}
