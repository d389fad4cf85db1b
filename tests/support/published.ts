/** Returns a value that global-setup.ts has passed to the tests. */
export function published(name: 'TEST_ADMIN_URL' | 'TEST_TEMPLATE' | 'TEST_REDIS_URL'): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set. Run the tests with jest and its globalSetup.`);
  return value;
}
