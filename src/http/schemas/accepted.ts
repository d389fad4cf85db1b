import { z } from 'zod';

/** What is answered where the rest happens by mail: the same for every address. */
export const Accepted = z
  .object({ message: z.string().meta({ description: 'For people; the text may change' }) })
  .meta({
    id: 'Accepted',
    description: 'Taken on; the rest happens by mail',
    examples: [{ message: 'If there is an account with this address, a link is on its way to it.' }],
  });

export type Accepted = z.output<typeof Accepted>;

export const accepted = (message: string): Accepted => ({ message });
