// Jest loads its setup with Node, which does not know TypeScript before 22.18.
import '../../../scripts/typescript.js';

export default async function globalSetup() {
  const { default: setUp } = await import('../global-setup.ts');
  await setUp();
}
