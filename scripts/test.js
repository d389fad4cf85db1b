// npm test [-- what jest takes]. Without arguments in four parts, each in a process of its own: jest lets go of no ES module
// that a test has loaded, and all of them are more than a heap holds.
import { spawnSync } from 'node:child_process';

const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
const given = process.argv.slice(2);
const parts = given.length > 0 ? [given] : [1, 2, 3, 4].map((part) => [`--shard=${part}/4`]);

let status = 0;
for (const part of parts) {
  const run = spawnSync(process.execPath, [...jest, ...part], { stdio: 'inherit' });
  if (run.status !== 0) status = run.status ?? 1;
}
process.exit(status);
