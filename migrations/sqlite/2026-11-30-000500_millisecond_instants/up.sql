-- Instants are whole milliseconds, as they are shown. Truncates those that earlier releases kept to the microsecond,
-- towards the past. A window that this would leave empty lasts one millisecond.

UPDATE assignments
SET effective_from = effective_from - ((effective_from % 1000) + 1000) % 1000,
    effective_to = CASE WHEN effective_to IS NULL THEN NULL
                   ELSE max(effective_to - ((effective_to % 1000) + 1000) % 1000, effective_from - ((effective_from % 1000) + 1000) % 1000 + 1000) END,
    created_at = created_at - ((created_at % 1000) + 1000) % 1000,
    updated_at = updated_at - ((updated_at % 1000) + 1000) % 1000
WHERE effective_from % 1000 <> 0 OR effective_to % 1000 <> 0 OR created_at % 1000 <> 0 OR updated_at % 1000 <> 0;

UPDATE accounts SET created_at = created_at - ((created_at % 1000) + 1000) % 1000, updated_at = updated_at - ((updated_at % 1000) + 1000) % 1000
WHERE created_at % 1000 <> 0 OR updated_at % 1000 <> 0;

UPDATE applications SET created_at = created_at - ((created_at % 1000) + 1000) % 1000, updated_at = updated_at - ((updated_at % 1000) + 1000) % 1000
WHERE created_at % 1000 <> 0 OR updated_at % 1000 <> 0;

UPDATE environments SET created_at = created_at - ((created_at % 1000) + 1000) % 1000, updated_at = updated_at - ((updated_at % 1000) + 1000) % 1000
WHERE created_at % 1000 <> 0 OR updated_at % 1000 <> 0;

UPDATE identities SET created_at = created_at - ((created_at % 1000) + 1000) % 1000, updated_at = updated_at - ((updated_at % 1000) + 1000) % 1000
WHERE created_at % 1000 <> 0 OR updated_at % 1000 <> 0;

UPDATE memberships SET invited_at = invited_at - ((invited_at % 1000) + 1000) % 1000, activated_at = activated_at - ((activated_at % 1000) + 1000) % 1000, deactivated_at = deactivated_at - ((deactivated_at % 1000) + 1000) % 1000, created_at = created_at - ((created_at % 1000) + 1000) % 1000
WHERE invited_at % 1000 <> 0 OR activated_at % 1000 <> 0 OR deactivated_at % 1000 <> 0 OR created_at % 1000 <> 0;

UPDATE permissions SET created_at = created_at - ((created_at % 1000) + 1000) % 1000
WHERE created_at % 1000 <> 0;

UPDATE roles SET created_at = created_at - ((created_at % 1000) + 1000) % 1000, updated_at = updated_at - ((updated_at % 1000) + 1000) % 1000
WHERE created_at % 1000 <> 0 OR updated_at % 1000 <> 0;

UPDATE nodes SET created_at = created_at - ((created_at % 1000) + 1000) % 1000, updated_at = updated_at - ((updated_at % 1000) + 1000) % 1000
WHERE created_at % 1000 <> 0 OR updated_at % 1000 <> 0;

UPDATE change_records SET at = at - ((at % 1000) + 1000) % 1000
WHERE at % 1000 <> 0;

UPDATE audit_events SET created_at = created_at - ((created_at % 1000) + 1000) % 1000
WHERE created_at % 1000 <> 0;

UPDATE signing_keys SET created_at = created_at - ((created_at % 1000) + 1000) % 1000
WHERE created_at % 1000 <> 0;

UPDATE api_keys SET expires_at = expires_at - ((expires_at % 1000) + 1000) % 1000, last_used_at = last_used_at - ((last_used_at % 1000) + 1000) % 1000, created_at = created_at - ((created_at % 1000) + 1000) % 1000
WHERE expires_at % 1000 <> 0 OR last_used_at % 1000 <> 0 OR created_at % 1000 <> 0;

UPDATE kept_answers SET at = at - ((at % 1000) + 1000) % 1000
WHERE at % 1000 <> 0;
