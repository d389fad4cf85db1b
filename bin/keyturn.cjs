// Starts `main`, `dev` or `cli`. libuv sizes its thread pool at its first use, and loading an ES module is such a use. So CommonJS
// sets the size here: four more than HASH_CONCURRENCY, so that DNS lookups and file access never wait for password hashes.
const { availableParallelism } = require('node:os');

const [name = 'main'] = process.argv.splice(2, 1);
const hashConcurrency = Number(process.env.HASH_CONCURRENCY) || Math.max(1, availableParallelism() - 1);
process.env.UV_THREADPOOL_SIZE ??= String(Math.max(4, hashConcurrency + 4));

import(`../dist/${name}.js`).catch((error) => {
  process.stderr.write(
    `${error.code === 'ERR_MODULE_NOT_FOUND' ? `Error: The service is not built. Run npm run build. (${error.message})` : error.stack}\n`,
  );
  process.exitCode = 1;
});
