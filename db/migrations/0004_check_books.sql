-- Whether the books are right. Each invariant is what the triggers and constraints of 0002 and 0003 make true, asked in
-- another way: from the facts, without trust in any derived number.

-- A row for everything that is wrong.
CREATE VIEW book_faults AS
  SELECT 'I1' AS invariant, 'all entries add up to ' || sum(amount) AS what FROM entries HAVING sum(amount) <> 0

  UNION ALL
  SELECT 'I2', 'transfer ' || t.id || ' has ' || coalesce(e.n, 0) || ' entries that add up to ' || coalesce(e.amount, 0)
  FROM transfers t LEFT JOIN (SELECT transfer_id, count(*) AS n, sum(amount) AS amount FROM entries GROUP BY 1) e ON e.transfer_id = t.id
  WHERE e.n IS NULL OR e.n < 2 OR e.amount <> 0
  UNION ALL
  SELECT 'I2', 'entry ' || e.transfer_id || ' ' || e.purse_id || ' has no transfer'
  FROM entries e WHERE NOT EXISTS (SELECT FROM transfers t WHERE t.id = e.transfer_id)

  UNION ALL
  SELECT 'I3', coalesce(p.id, e.purse_id) || ' has ' || coalesce(p.posted::text, 'no row') || ', its entries say ' || coalesce(e.amount, 0)
  FROM purses p FULL JOIN (
    SELECT e.purse_id, coalesce(sum(e.amount) FILTER (WHERE u.transfer_id IS NULL), 0) AS amount
    FROM entries e LEFT JOIN unfolded u ON u.transfer_id = e.transfer_id AND u.purse_id = e.purse_id GROUP BY 1
  ) e ON e.purse_id = p.id
  WHERE p.posted IS DISTINCT FROM coalesce(e.amount, 0)
  UNION ALL
  SELECT 'I3', p.id || ' has ' || p.posted || ', its hours say ' || coalesce(m.amount, 0)
  FROM purses p LEFT JOIN (SELECT purse_id, sum(amount) AS amount FROM maturing GROUP BY 1) m ON m.purse_id = p.id
  WHERE p.kind = 'pending' AND p.posted <> coalesce(m.amount, 0)

  UNION ALL
  SELECT 'I4', p.id || ' holds ' || p.held || ', its leases say ' || coalesce(l.amount, 0)
  FROM purses p LEFT JOIN (
    SELECT v.purse_id, sum(v.amount) AS amount FROM leases l, LATERAL (
      VALUES ('cash/' || l.account_id, l.cash_amount - l.cash_spent), ('promo/' || l.account_id, l.promo_amount - l.promo_spent)
    ) v (purse_id, amount) WHERE l.state <> 'closed' GROUP BY 1
  ) l ON l.purse_id = p.id
  WHERE p.held <> coalesce(l.amount, 0)

  UNION ALL
  SELECT 'I5', id || ' has ' || posted || ' of which ' || held || ' is held' FROM purses WHERE floor_zero AND posted - held < 0
  UNION ALL
  SELECT 'I5', 'the constraint ' || name || ' is gone' FROM unnest('{purses_floor,purses_held,leases_spent,calls_hold}'::text[]) name
  WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conname = name AND contype = 'c' AND convalidated)

  UNION ALL
  SELECT 'I6', 'call ' || c.call_id || ' cost ' || c.cost_nanousd || ' of a hold of ' || c.hold_nanousd || ', paid by ' || coalesce(t.kind, 'nothing')
  FROM calls c LEFT JOIN transfers t ON t.id = c.transfer_id
  WHERE c.cost_nanousd > c.hold_nanousd
    OR (c.cost_nanousd > 0 AND (t.kind, t.owner) IS DISTINCT FROM ('capture', c.account_id))

  UNION ALL
  SELECT 'I7', 'call ' || c.call_id || ' cost ' || c.cost_nanousd || ', ' || r.amount || ' was given back'
  FROM (SELECT call_id, sum(amount) AS amount FROM refunds GROUP BY 1) r JOIN calls c USING (call_id) WHERE r.amount > c.cost_nanousd
  UNION ALL
  SELECT 'I7', 'refund ' || coalesce(t.id, r.transfer_id) || ' is not on record as one'
  FROM (SELECT id FROM transfers WHERE kind = 'refund') t FULL JOIN refunds r ON r.transfer_id = t.id
  LEFT JOIN entries e ON e.transfer_id = t.id AND e.purse_id = 'loss'
  WHERE r.amount IS DISTINCT FROM -e.amount

  UNION ALL
  SELECT 'I8', 'transfer ' || t.id || ' is not what its hash says' FROM transfers t WHERE t.hash <> transfer_hash(t)
  UNION ALL
  SELECT 'I8', 'the trigger ' || guard || ' does not guard'
  FROM unnest('{transfers_stay,transfers_seal,transfers_carry_out,entries_stay,entries_late,entries_sealed,calls_stay,calls_late,calls_sealed,
    calls_spend,usage_stay,usage_late,refunds_stay,refunds_late,refunds_sealed,flows_stay,purses_stay,purses_derived,purses_empty,chains_stay,
    chains_derived,chains_empty,unfolded_stay,unfolded_derived,unfolded_fold,maturing_stay,maturing_derived,leases_stay,leases_guard,
    leases_hold,prices_stay,rates_stay,payout_addresses_stay}'::text[]) guard
  WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = guard AND tgenabled IN ('O', 'A'))

  UNION ALL
  SELECT 'I9', 'call ' || c.call_id || ' has ' || c.attempts || ' attempts, on record are ' || coalesce(u.n, 0)
  FROM calls c LEFT JOIN (SELECT call_id, count(*) AS n FROM usage GROUP BY 1) u USING (call_id) WHERE c.attempts <> coalesce(u.n, 0)
  UNION ALL
  -- Before there were calls on record, there were attempts.
  SELECT 'I9', 'attempt ' || u.call_id || '/' || u.attempt || ' has no call' FROM usage u
  WHERE NOT EXISTS (SELECT FROM calls c WHERE c.call_id = u.call_id) AND u.recorded_at > (SELECT min(recorded_at) FROM calls)

  UNION ALL
  SELECT 'I10', 'lease ' || l.epoch || ' of ' || l.account_id || ' spent ' || l.cash_spent || ' and promo ' || l.promo_spent
    || ', its calls ' || coalesce(c.cash, 0) || ' and ' || coalesce(c.promo, 0)
  FROM leases l FULL JOIN (
    SELECT account_id, lease_epoch AS epoch, sum(cash_nanousd) AS cash, sum(promo_nanousd) AS promo FROM calls WHERE cost_nanousd > 0 GROUP BY 1, 2
  ) c USING (account_id, epoch)
  WHERE (l.cash_spent, l.promo_spent) IS DISTINCT FROM (coalesce(c.cash, 0), coalesce(c.promo, 0))
  UNION ALL
  SELECT 'I10', 'call ' || c.call_id || ' cost ' || c.cost_nanousd || ', its attempts ' || coalesce(u.cost, 0)
  FROM calls c LEFT JOIN (SELECT call_id, sum(cost_nanousd) AS cost FROM usage GROUP BY 1) u USING (call_id)
  WHERE c.cost_nanousd <> coalesce(u.cost, 0)

  UNION ALL
  SELECT 'I11', 'attempt ' || u.call_id || '/' || u.attempt || ' cost ' || u.cost_nanousd || ', the miner''s share is ' || u.share_nanousd
  FROM usage u JOIN calls c USING (call_id) WHERE u.share_nanousd <> share_of(u.cost_nanousd, c.fee_bps)
  UNION ALL
  SELECT 'I11', 'capture ' || coalesce(e.transfer_id, p.transfer_id) || ' moved ' || coalesce(e.amount, 0) || ' on '
    || coalesce(e.purse_id, p.purse_id) || ', its calls say ' || coalesce(p.amount, 0)
  FROM (SELECT e.* FROM entries e JOIN transfers t ON t.id = e.transfer_id WHERE t.kind = 'capture') e
  FULL JOIN (
    WITH by_miner AS (
      SELECT c.transfer_id, u.hotkey, sum(u.cost_nanousd) AS cost, sum(u.share_nanousd) AS share
      FROM calls c JOIN usage u USING (call_id) WHERE c.transfer_id IS NOT NULL GROUP BY 1, 2
    ), by_payer AS (
      SELECT transfer_id, account_id, sum(cash_nanousd) AS cash, sum(promo_nanousd) AS promo FROM calls WHERE transfer_id IS NOT NULL GROUP BY 1, 2
    )
    SELECT * FROM (
      SELECT transfer_id, 'cash/' || account_id AS purse_id, -cash AS amount FROM by_payer
      UNION ALL SELECT transfer_id, 'promo/' || account_id, -promo FROM by_payer
      UNION ALL SELECT transfer_id, 'pending/' || hotkey, share FROM by_miner
      UNION ALL SELECT transfer_id, 'fee', sum(cost - share) FROM by_miner GROUP BY 1
    ) parts WHERE amount <> 0
  ) p ON p.transfer_id = e.transfer_id AND p.purse_id = e.purse_id
  WHERE e.amount IS DISTINCT FROM p.amount

  UNION ALL
  SELECT 'I12', 'attempt ' || u.call_id || '/' || u.attempt || ' failed before any output and cost ' || u.cost_nanousd
  FROM usage u JOIN calls c USING (call_id) WHERE c.kind = 'call' AND u.outcome <> 'completed' AND u.bytes = 0 AND u.cost_nanousd > 0

  UNION ALL
  SELECT 'I13', 'lease ' || epoch || ' of ' || account_id || ' was last heard of ' || to_char(touched_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC'
  FROM leases WHERE state <> 'closed' AND touched_at < now() - interval '24 hours' AND (cash_amount > cash_spent OR promo_amount > promo_spent)

  UNION ALL
  SELECT 'I14', 'transfer ' || id || ' is not link ' || place || ' of the chain of ' || owner
  FROM (
    SELECT id, owner, n, prev_hash, row_number() OVER chain AS place, lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER chain AS hash_before
    FROM transfers WINDOW chain AS (PARTITION BY owner ORDER BY n)
  ) links WHERE n <> place OR prev_hash <> hash_before
  UNION ALL
  SELECT 'I14', 'the chain of ' || coalesce(c.owner, t.owner) || ' ends elsewhere than its last transfer'
  FROM chains c FULL JOIN (SELECT DISTINCT ON (owner) owner, n, hash FROM transfers ORDER BY owner, n DESC) t ON t.owner = c.owner
  WHERE coalesce(c.n, -1) <> coalesce(t.n, 0) OR (c.n > 0 AND c.hash <> t.hash)

  UNION ALL
  SELECT 'I15', 'miner ' || hotkey || ' was paid or is being paid ' || p.amount || ', ' || coalesce(e.amount, 0) || ' became payable'
  FROM (SELECT hotkey, sum(nanousd) AS amount FROM payouts WHERE state IN ('begun', 'submitted', 'paid') GROUP BY 1) p
  LEFT JOIN (
    SELECT split_part(e.purse_id, '/', 2) AS hotkey, sum(e.amount) AS amount FROM entries e JOIN transfers t ON t.id = e.transfer_id
    WHERE e.purse_id LIKE 'payable/%' AND t.kind IN ('mature', 'forfeit') GROUP BY 1
  ) e USING (hotkey)
  WHERE p.amount > coalesce(e.amount, 0)
  UNION ALL
  SELECT 'I15', 'in_flight/' || coalesce(f.hotkey, p.hotkey) || ' has ' || coalesce(f.posted, 0) || ', under way is ' || coalesce(p.amount, 0)
  FROM (SELECT owner AS hotkey, posted FROM purses WHERE kind = 'in_flight') f
  FULL JOIN (SELECT hotkey, sum(nanousd) AS amount FROM payouts WHERE state IN ('begun', 'submitted') GROUP BY 1) p USING (hotkey)
  WHERE coalesce(f.posted, 0) <> coalesce(p.amount, 0)
  UNION ALL
  SELECT 'I15', kind || 's of ' || coalesce(there.amount, 0) || ' came in, the ledger has ' || coalesce(here.amount, 0)
  FROM (
    SELECT 'deposit' AS kind, sum(nanousd) AS amount FROM deposits WHERE state = 'credited'
    UNION ALL
    SELECT 'card', sum(nanousd) FROM checkouts WHERE state = 'paid'
  ) there LEFT JOIN (
    SELECT t.kind, -sum(e.amount) AS amount FROM entries e JOIN transfers t ON t.id = e.transfer_id WHERE e.purse_id IN ('tao_clearing', 'stripe_clearing')
      AND t.kind IN ('deposit', 'card') GROUP BY 1
  ) here USING (kind)
  WHERE coalesce(there.amount, 0) <> coalesce(here.amount, 0);

-- What each says; docs/books.md has them in full.
CREATE VIEW invariants AS SELECT * FROM (VALUES
  ('I1', 'All entries add up to zero.'),
  ('I2', 'Every transfer has two entries or more that add up to zero.'),
  ('I3', 'A purse has what its entries say.'),
  ('I4', 'A purse holds what is unspent of its leases.'),
  ('I5', 'No purse is below zero.'),
  ('I6', 'A call is captured once, at most its hold.'),
  ('I7', 'A call gives back at most what it cost.'),
  ('I8', 'Nothing on record was changed, and every guard stands.'),
  ('I9', 'Every call has its attempts, every attempt its call.'),
  ('I10', 'A lease spent what its calls cost, a call what its attempts cost.'),
  ('I11', 'What a call cost is its miners'' shares and the fee.'),
  ('I12', 'Nothing is paid for what failed before any output.'),
  ('I13', 'Every lease with credit was heard of within a day.'),
  ('I14', 'The chains of transfers are whole.'),
  ('I15', 'No more is paid out than became payable, and what came in is what the ledger has.')
) v (invariant, says);

-- Null: all of them.
CREATE FUNCTION check_books(only_this text DEFAULT NULL) RETURNS TABLE (invariant text, broken bigint, detail text)
  LANGUAGE sql STABLE SET search_path = public, pg_temp SET work_mem = '64MB' AS $$
  SELECT i.invariant, count(f.what), coalesce(min(f.what), i.says) FROM invariants i LEFT JOIN book_faults f ON f.invariant = i.invariant
  WHERE only_this IS NULL OR i.invariant = only_this GROUP BY i.invariant, i.says ORDER BY substr(i.invariant, 2)::int
$$;
