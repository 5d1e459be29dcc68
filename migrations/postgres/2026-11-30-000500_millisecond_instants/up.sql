-- Instants are whole milliseconds, as they are shown. Truncates those that earlier releases kept to the microsecond,
-- towards the past. A window that this would leave empty lasts one millisecond.

UPDATE assignments
SET effective_from = date_trunc('milliseconds', effective_from),
    effective_to = CASE WHEN effective_to IS NULL THEN NULL
                   ELSE greatest(date_trunc('milliseconds', effective_to), date_trunc('milliseconds', effective_from) + interval '1 millisecond') END,
    created_at = date_trunc('milliseconds', created_at),
    updated_at = date_trunc('milliseconds', updated_at)
WHERE effective_from <> date_trunc('milliseconds', effective_from) OR effective_to <> date_trunc('milliseconds', effective_to) OR created_at <> date_trunc('milliseconds', created_at) OR updated_at <> date_trunc('milliseconds', updated_at);

UPDATE accounts SET created_at = date_trunc('milliseconds', created_at), updated_at = date_trunc('milliseconds', updated_at)
WHERE created_at <> date_trunc('milliseconds', created_at) OR updated_at <> date_trunc('milliseconds', updated_at);

UPDATE applications SET created_at = date_trunc('milliseconds', created_at), updated_at = date_trunc('milliseconds', updated_at)
WHERE created_at <> date_trunc('milliseconds', created_at) OR updated_at <> date_trunc('milliseconds', updated_at);

UPDATE environments SET created_at = date_trunc('milliseconds', created_at), updated_at = date_trunc('milliseconds', updated_at)
WHERE created_at <> date_trunc('milliseconds', created_at) OR updated_at <> date_trunc('milliseconds', updated_at);

UPDATE identities SET created_at = date_trunc('milliseconds', created_at), updated_at = date_trunc('milliseconds', updated_at)
WHERE created_at <> date_trunc('milliseconds', created_at) OR updated_at <> date_trunc('milliseconds', updated_at);

UPDATE memberships SET invited_at = date_trunc('milliseconds', invited_at), activated_at = date_trunc('milliseconds', activated_at), deactivated_at = date_trunc('milliseconds', deactivated_at), created_at = date_trunc('milliseconds', created_at)
WHERE invited_at <> date_trunc('milliseconds', invited_at) OR activated_at <> date_trunc('milliseconds', activated_at) OR deactivated_at <> date_trunc('milliseconds', deactivated_at) OR created_at <> date_trunc('milliseconds', created_at);

UPDATE permissions SET created_at = date_trunc('milliseconds', created_at)
WHERE created_at <> date_trunc('milliseconds', created_at);

UPDATE roles SET created_at = date_trunc('milliseconds', created_at), updated_at = date_trunc('milliseconds', updated_at)
WHERE created_at <> date_trunc('milliseconds', created_at) OR updated_at <> date_trunc('milliseconds', updated_at);

UPDATE nodes SET created_at = date_trunc('milliseconds', created_at), updated_at = date_trunc('milliseconds', updated_at)
WHERE created_at <> date_trunc('milliseconds', created_at) OR updated_at <> date_trunc('milliseconds', updated_at);

UPDATE change_records SET at = date_trunc('milliseconds', at)
WHERE at <> date_trunc('milliseconds', at);

UPDATE audit_events SET created_at = date_trunc('milliseconds', created_at)
WHERE created_at <> date_trunc('milliseconds', created_at);

UPDATE signing_keys SET created_at = date_trunc('milliseconds', created_at)
WHERE created_at <> date_trunc('milliseconds', created_at);

UPDATE api_keys SET expires_at = date_trunc('milliseconds', expires_at), last_used_at = date_trunc('milliseconds', last_used_at), created_at = date_trunc('milliseconds', created_at)
WHERE expires_at <> date_trunc('milliseconds', expires_at) OR last_used_at <> date_trunc('milliseconds', last_used_at) OR created_at <> date_trunc('milliseconds', created_at);

UPDATE kept_answers SET at = date_trunc('milliseconds', at)
WHERE at <> date_trunc('milliseconds', at);
