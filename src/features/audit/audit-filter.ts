import { z } from 'zod';
import type { AuditEventFilter } from '../../core/audit/audit-events.sql.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import { uuidOf } from '../../http/schemas/paging.ts';
import { isWithinTenYears, systemClock } from '../../lib/clock.ts';
import type { SessionId, UserId } from '../../lib/ids.ts';
import { addressRangeOf, isNetwork } from '../../lib/network.ts';
import { Timestamp } from '../../lib/text.ts';

/** The filters of the trail, by the members of an event: for queries, and for the options of the export. */
export const filters = {
  user_id: uuidOf<UserId>().optional().meta({ description: 'Only events that concern the account of this user' }),
  type: z
    .string()
    .regex(/^[a-z_.]{1,64}$/, { error: 'must be an event type, such as login' })
    .optional()
    .meta({ description: 'Only events of this type, such as `login`' }),
  session_id: uuidOf<SessionId>().optional().meta({ description: 'Only events of this session' }),
  request_id: z
    .string()
    .regex(/^[\w.-]{1,128}$/, { error: 'must be the X-Request-Id of a request' })
    .optional()
    .meta({
      description:
        'Only events of requests with this id: the `request_id` of the service, or the `X-Request-Id` that the caller sent',
    }),
  email: EmailAddress.optional().meta({
    description:
      'Only events with this `email`: those without an account or caused by another user have none. `user_id` finds all events of an account',
  }),
  ip: z
    .string()
    .refine(isNetwork, { error: 'must be an IP address or a CIDR, such as 192.0.2.0/24' })
    .transform(addressRangeOf)
    .optional()
    .meta({ description: 'Only events from this IPv4 or IPv6 address or network (CIDR)', examples: ['2001:db8::/32'] }),
};

/** A time that an event can have. */
export const EventTime = Timestamp.refine(
  (time) => time.getTime() >= 0 && isWithinTenYears(time.getTime(), systemClock.nowMs()),
  { error: 'must be a time from 1970 to ten years ahead' },
);

type FilterValues = z.output<z.ZodObject<typeof filters>>;

/** The conditions of the query. */
export const toFilter = (values: FilterValues): AuditEventFilter => ({
  userId: values.user_id,
  type: values.type,
  sessionId: values.session_id,
  requestId: values.request_id,
  email: values.email,
  network: values.ip,
});
