// The order in which passwords are hashed. tests/operations/hashing.system.test.ts has the queue of a whole service.
import { expect, test } from '@jest/globals';
import { networkOf } from '../../src/lib/network.ts';
import { makeHashQueue } from '../../src/platform/password-hashing/hash-queue.ts';
import { makeHasher } from '../../src/platform/password-hashing/password-hasher.ts';

/** A queue whose jobs end only on demand. Each job is named by its client address. */
function openQueue(queueMax: number) {
  const queue = makeHashQueue({ concurrency: 1, queueMax }, () => {});
  const started: string[] = [];
  const refused: string[] = [];
  const finish: (() => void)[] = [];
  return {
    started,
    refused,
    size: queue.size,
    /** Adds a job and returns a function that disconnects its client. */
    add(address: string): () => void {
      const client = new AbortController();
      const job = () => {
        started.push(address);
        return new Promise<void>((resolve) => finish.push(resolve));
      };
      queue
        .run({ network: networkOf(address), signal: client.signal }, job)
        .catch((error: Error) => refused.push(client.signal.aborted ? 'gone' : `${address} ${error.constructor.name}`));
      return () => client.abort(new Error('disconnected'));
    },
    /** Finishes each job as soon as it runs, until the queue is empty. */
    async drain(): Promise<void> {
      const settle = () => new Promise((resolve) => setImmediate(resolve));
      await settle();
      for (let next = finish.shift(); next; next = finish.shift()) {
        next();
        await settle();
      }
      expect(queue.size()).toEqual({ running: 0, waiting: 0 });
    },
  };
}

test('networks take turns, and the jobs of one network keep their order', async () => {
  const queue = openQueue(100);
  for (const host of [1, 2, 3, 4]) queue.add(`192.0.2.${host}`);
  queue.add('198.51.100.1');
  queue.add('198.51.100.2');
  queue.add('203.0.113.1');
  await queue.drain();
  expect(queue.started).toEqual([
    '192.0.2.1',
    '192.0.2.2',
    '198.51.100.1',
    '203.0.113.1',
    '192.0.2.3',
    '198.51.100.2',
    '192.0.2.4',
  ]);
});

test('the networks of one IPv6 /48 share one turn', async () => {
  const queue = openQueue(100);
  for (const subnet of ['100', '200', '300', '400']) queue.add(`2001:db8:1:${subnet}::1`);
  queue.add('2001:db8:2::1');
  await queue.drain();
  expect(queue.started.indexOf('2001:db8:2::1')).toBe(2);
});

test('a job replaces the newest job of the longest queue if all places are taken', async () => {
  const queue = openQueue(4);
  for (const host of [1, 2, 3, 4, 5, 6]) queue.add(`192.0.2.${host}`);
  queue.add('198.51.100.1');
  queue.add('198.51.100.2');
  queue.add('198.51.100.3');
  await queue.drain();
  expect(queue.started).toEqual(['192.0.2.1', '192.0.2.2', '198.51.100.1', '192.0.2.3', '198.51.100.2']);
  expect(queue.refused.sort()).toEqual([
    '192.0.2.4 Overloaded',
    '192.0.2.5 Overloaded',
    '192.0.2.6 Overloaded',
    '198.51.100.3 Overloaded',
  ]);
});

test('is full if each waiting network has one job', async () => {
  const queue = openQueue(2);
  for (const network of [1, 2, 3, 4]) queue.add(`192.0.${network}.1`);
  await queue.drain();
  expect(queue.started).toEqual(['192.0.1.1', '192.0.2.1', '192.0.3.1']);
  expect(queue.refused).toEqual(['192.0.4.1 Overloaded']);
});

test('jobs of disconnected clients leave their places to others', async () => {
  const queue = openQueue(2);
  queue.add('192.0.2.1');
  const disconnect = queue.add('192.0.2.2');
  queue.add('192.0.2.3');
  disconnect();
  expect(queue.size()).toEqual({ running: 1, waiting: 1 });
  queue.add('192.0.2.4');
  await queue.drain();
  expect(queue.started).toEqual(['192.0.2.1', '192.0.2.3', '192.0.2.4']);
  expect(queue.refused).toEqual(['gone']);
});

test('every form of a password is compared with an imported hash in one job, so that a disconnect cannot fall between two', async () => {
  let jobs = 0;
  const config = { concurrency: 1, queueMax: 1, memoryKib: 64, iterations: 1, parallelism: 1 };
  const hasher = makeHasher(config, () => (jobs += 1));
  const client = { network: networkOf('192.0.2.1'), signal: new AbortController().signal };
  const imported = '$2b$04$vuAkiDv5GVsOCXnWVt453.g9.XA5z7bKoDrJemOgu6H9Ix5dKtQCu';
  expect(await hasher.verify(imported, 'contrase\u00f1a \ufb01', client)).toBe(false);
  expect(jobs).toBe(1);
});

test('several passwords are compared with a hash in one job, and the first that matches is returned', async () => {
  let jobs = 0;
  const config = { concurrency: 1, queueMax: 1, memoryKib: 64, iterations: 1, parallelism: 1 };
  const hasher = makeHasher(config, () => (jobs += 1));
  const client = { network: networkOf('192.0.2.1'), signal: new AbortController().signal };
  const hash = await hasher.hash('the second one', client);
  jobs = 0;
  expect(await hasher.findMatch(hash, ['the first one', 'the second one'], client)).toBe('the second one');
  expect(await hasher.findMatch(hash, ['the first one', 'the third one'], client)).toBeUndefined();
  expect(await hasher.findMatch('!unusable', ['the first one', 'the second one'], client)).toBeUndefined();
  expect(jobs).toBe(3);
});
