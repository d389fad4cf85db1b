import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a condition is true. @throws after ten seconds */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries += 1) {
    if (tries > 400) throw new Error(`the condition did not become true: ${condition.toString()}`);
    await sleep(25);
  }
}
