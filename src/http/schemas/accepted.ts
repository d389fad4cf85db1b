import { z } from 'zod';

/** The response of endpoints that continue by email: the same for every email address. */
export const Accepted = z
  .object({ message: z.string().meta({ description: 'A sentence for people. The text can change' }) })
  .meta({
    id: 'Accepted',
    description: 'The request was accepted and continues by email',
    examples: [{ message: 'If an account with this email address exists, we have sent it a link.' }],
  });

export type Accepted = z.output<typeof Accepted>;

export const accepted = (message: string): Accepted => ({ message });
