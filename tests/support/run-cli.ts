import { Writable } from 'node:stream';
import { runCommandLine } from '../../src/cli/command-line.ts';

export interface Output {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `npm run cli -- …` with exactly these environment variables, in this process and in a folder without a development instance. */
export const runCli = (env: Record<string, string>, ...args: string[]): Promise<Output> => runCliIn('/', env, ...args);

/** Like `runCli`, in another folder. */
export async function runCliIn(folder: string, env: Record<string, string>, ...args: string[]): Promise<Output> {
  const output = { stdout: '', stderr: '' };
  const collect = (name: 'stdout' | 'stderr') =>
    new Writable({
      decodeStrings: false,
      write: (text: string | Buffer, _, done) => {
        output[name] += text.toString();
        done();
      },
    });
  const code = await runCommandLine(args, {
    env,
    cwd: () => folder,
    stdout: collect('stdout'),
    stderr: collect('stderr'),
  });
  return { code, ...output };
}
