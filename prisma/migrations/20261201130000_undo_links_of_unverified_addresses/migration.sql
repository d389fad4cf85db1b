-- Earlier versions issued undo links for addresses that had never been verified. They would let a stranger take an account back, and
-- reserve the address. A link stays if anything suggests that its address was verified, because it may protect the owner of a
-- stolen account: the address is current and verified, an event of this user proves it, or the account was not created by a
-- registration that is still in the audit trail. An old process that runs beside this migration treats a deleted link as expired.
DELETE FROM one_time_tokens AS t USING users AS u
WHERE t.purpose = 'email_undo' AND u.id = t.user_id
  AND NOT (u.email = t.email AND u.email_verified)
  AND EXISTS (
    SELECT FROM audit_events AS e WHERE e.user_id = t.user_id AND e.type = 'account.registered' AND e.outcome = 'success')
  AND NOT EXISTS (SELECT FROM audit_events AS e WHERE e.user_id = t.user_id AND e.type = 'user.updated')
  AND NOT EXISTS (
    SELECT FROM audit_events AS e JOIN audit_personal_data AS p ON p.event_id = e.id
    WHERE e.user_id = t.user_id AND p.email = t.email
      AND e.type IN ('email.verified', 'password.reset', 'email.changed', 'email.change_undone'));
