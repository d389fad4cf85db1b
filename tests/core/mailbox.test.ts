import { expect, test } from '@jest/globals';
import { EmailAddress, mailboxOf } from '../../src/core/users/email-address.ts';

test.each([
  ['ada@example.com', 'ada@example.com'],
  ['Ada+news@example.com', 'ada@example.com'],
  ['ada+a+b@example.com', 'ada@example.com'],
  ['ada+@example.com', 'ada@example.com'],
  ['a.d.a@example.com', 'a.d.a@example.com'],
  ['a.d.a+x@gmail.com', 'ada@gmail.com'],
  ['A.da@GoogleMail.com', 'ada@gmail.com'],
  ['ada@mail.gmail.com', 'ada@mail.gmail.com'],
  ['+ada@example.com', '+ada@example.com'],
  ['+ada+x@example.com', '+ada@example.com'],
])('%s belongs to the mailbox %s', (address, mailbox) => {
  expect(mailboxOf(EmailAddress.parse(address))).toBe(mailbox);
});
