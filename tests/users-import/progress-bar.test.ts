import { expect, test } from '@jest/globals';
import { makeProgressBar } from '../../src/cli/users/progress-bar.ts';

const at = (nextByte: number, lines: number) => ({
  nextByte,
  lines,
  imported: lines - 1,
  refused: 1,
  isFinished: false,
});

/** Returns what a progress bar writes to a screen. */
function shownOn(screen: { isTTY?: boolean; columns?: number }) {
  const shown: string[] = [];
  let nowMs = 0;
  const bar = makeProgressBar({ ...screen, write: (text) => shown.push(text) }, 2_000_000, () => nowMs);
  bar.show(at(0, 1));
  nowMs = 10_000;
  bar.show(at(500_000, 25_001));
  nowMs = 40_000;
  bar.show(at(2_000_000, 100_001));
  bar.clear();
  return shown;
}

test('a terminal shows progress, speed and remaining time on one line', () => {
  const [first, quarter, end, cleared] = shownOn({ isTTY: true, columns: 200 });
  expect(first).toBe(`\r\u001b[K${'░'.repeat(24)} 0 %  0 imported, 1 refused`);
  expect(quarter).toBe(
    `\r\u001b[K${'█'.repeat(6)}${'░'.repeat(18)} 25 %  25,000 imported, 1 refused  2,500 lines/s  30 s left`,
  );
  expect(end).toContain(`${'█'.repeat(24)} 100 %  100,000 imported`);
  expect(cleared).toBe('\r\u001b[K');
});

test('the line is not longer than the terminal is wide', () => {
  for (const line of shownOn({ isTTY: true, columns: 40 }))
    expect(line.replace('\r\u001b[K', '').length).toBeLessThan(40);
});

test('nothing is written without a terminal', () => {
  expect(shownOn({})).toEqual([]);
  expect(shownOn({ isTTY: false })).toEqual([]);
});
